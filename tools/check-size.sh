#!/usr/bin/env bash
# Fails if the program is larger than it may be: docs/design/start-and-size.md lists what it contains. Usage: check-size.sh PROGRAM
set -euo pipefail

max_bytes=45000000 # 45 MB, decimal: below it by some MB, so that a step in size is noticed

size=$(wc -c < "$1")
if [ "$size" -gt "$max_bytes" ]; then
  echo "$1 has $size bytes; $max_bytes is the most. docs/design/start-and-size.md shows how to find what it contains." >&2
  exit 1
fi
echo "$1 has $size of at most $max_bytes bytes."
