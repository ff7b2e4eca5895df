#!/usr/bin/env bash
# Checks what one deploys with: compose.yaml against the Compose specification. `make lint-deploy` installs the programs. Usage: check-deploy.sh
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "deploy: $*" >&2; exit 1; }

compose-check compose.yaml > /dev/null || die "compose.yaml is not valid"
echo "compose.yaml is valid."
