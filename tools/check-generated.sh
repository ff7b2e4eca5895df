#!/usr/bin/env bash
# Generates all generated code again and fails if that changes a file: then the generated code in the tree is out of
# date. It compares with the working tree, not with the last commit, so that it also works before a commit.
set -euo pipefail
cd "$(dirname "$0")/.."

generated=(gen ent web/client/src/gen web/app/src/rules/gen docs/openapi docs/configuration.md go.mod go.sum)

sums() { { find "${generated[@]}" -type f -exec sha256sum {} + 2>/dev/null || true; } | sort -k 2; }

before=$(sums)
make --no-print-directory generate
after=$(sums)
if [ "$before" != "$after" ]; then
  echo "Generated code was out of date. It has been generated anew; commit these files:" >&2
  diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ { print "  " $3 }' | sort -u >&2
  exit 1
fi
echo "Generated code is current."
