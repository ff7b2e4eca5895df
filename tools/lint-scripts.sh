#!/usr/bin/env bash
# Checks every shell script of the tree with shellcheck. Without shellcheck it prints a notice and passes on a developer's machine,
# and fails in CI (CI=true).
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v shellcheck >/dev/null; then
  echo "shellcheck is missing, scripts are not checked: apt-get install shellcheck" >&2
  [ "${CI:-}" != true ]
  exit
fi
mapfile -t scripts < <(find .ci deploy test tools -type f \( -name '*.sh' -o -path '.ci/run' \) | sort)
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "${#scripts[@]} scripts are clean."
