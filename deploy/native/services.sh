#!/usr/bin/env bash
# Starts and stops the real servers on 127.0.0.1: Redis, MySQL and RocketMQ. Usage:
#   services.sh up|down|status [redis|mysql|rocketmq]
# With a running Docker engine it uses compose.yaml, otherwise it installs and starts them
# natively on Debian.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command=${1:-}
shift || true
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(redis mysql rocketmq)
for part in "${parts[@]}"; do
  case $part in redis | mysql | rocketmq) ;; *) die "unknown part '$part': redis, mysql or rocketmq" ;; esac
done

# A Docker client without an engine must not block the script.
engine() { command -v docker >/dev/null && timeout 5 docker info >/dev/null 2>&1; }

native_up() {
  mkdir -p "$SERVICES_DIR"
  # Installations run one after the other (apt has one lock), starts in parallel.
  local part pids=() failed=0
  for part in "${parts[@]}"; do "$here/$part.sh" prepare; done
  for part in "${parts[@]}"; do
    "$here/$part.sh" up &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  [ "$failed" = 0 ] || die "not every server is ready"
}

each() {
  local part failed=0
  for part in "${parts[@]}"; do "$here/$part.sh" "$1" || failed=1; done
  return "$failed"
}

compose() { docker compose -f "$here/../../compose.yaml" "$@"; }

case $command in
up) if engine; then compose up --detach --wait "${parts[@]}"; else native_up; fi ;;
down) if engine; then compose stop "${parts[@]}"; else each down; fi ;;
status) if engine; then compose ps "${parts[@]}"; else each status; fi ;;
*) die "usage: services.sh up|down|status [redis|mysql|rocketmq]" ;;
esac
