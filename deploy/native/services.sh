#!/usr/bin/env bash
# Starts and stops the real servers on 127.0.0.1: Redis, MySQL and RocketMQ. Usage:
#   services.sh up|down|status [redis|redis-sentinel|mysql|rocketmq]
# With a running Docker engine it uses compose.yaml, otherwise it installs and starts them
# natively on Debian. REDIS=sentinel takes redis-sentinel, which always runs natively, instead of redis.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command=${1:-}
shift || true
parts=("$@")
case ${REDIS:-single} in
single) redis="redis" ;;
sentinel) redis="redis-sentinel" ;;
*) die "REDIS='$REDIS': must be single or sentinel" ;;
esac
[ ${#parts[@]} -gt 0 ] || parts=("$redis" mysql rocketmq)
for part in "${parts[@]}"; do
  case $part in redis | redis-sentinel | mysql | rocketmq) ;; *) die "unknown part '$part': redis, redis-sentinel, mysql or rocketmq" ;; esac
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

compose() { docker compose -f "$here/../../compose.yaml" --profile core "$@"; }

# engine_parts COMMAND...: applies a command of Docker to the parts that it has.
engine_parts() {
  local part in_engine=()
  for part in "${parts[@]}"; do
    case $part in
    redis-sentinel) ;;
    rocketmq) in_engine+=(rocketmq-nameserver rocketmq) ;; # one service here, two containers there
    *) in_engine+=("$part") ;;
    esac
  done
  [ ${#in_engine[@]} = 0 ] || compose "$@" "${in_engine[@]}"
}

# with_sentinels COMMAND: applies a command to redis-sentinel beside Docker, if it is one of the parts.
with_sentinels() {
  case " ${parts[*]} " in *" redis-sentinel "*) "$here/redis-sentinel.sh" "$1" ;; esac
}

# engine_up: in compose.yaml, root has no password.
engine_up() {
  case " ${parts[*]} " in *" mysql "*) mysql_dsn root ;; esac
  engine_parts up --detach --wait && with_sentinels up
}

case $command in
up) if engine; then engine_up; else native_up; fi ;;
down) if engine; then engine_parts stop && with_sentinels down; else each down; fi ;;
status) if engine; then engine_parts ps && with_sentinels status; else each status; fi ;;
*) die "usage: services.sh up|down|status [redis|redis-sentinel|mysql|rocketmq]" ;;
esac
