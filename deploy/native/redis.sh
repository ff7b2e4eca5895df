#!/usr/bin/env bash
# Runs Redis on 127.0.0.1 with an append-only file and without eviction. Usage: redis.sh up|down|status|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$SERVICES_DIR/redis
pidfile=$dir/redis.pid

ready() { redis-cli -h 127.0.0.1 -p "$REDIS_PORT" ping | grep -q PONG; }

prepare() {
  mkdir -p "$dir"
  apt_install redis-server redis-server redis-tools
}

up() {
  prepare
  if ! running "$pidfile" redis-server; then
    if port_open "$REDIS_PORT"; then die "port $REDIS_PORT is taken by another program: set REDIS_PORT"; fi
    # The background process must not inherit the caller's files: a caller that reads our output would wait for it.
    # The append-only file is not rewritten before it has 512 MB, a minute of 5,000 orders a second: at the default of 64 MB
    # Redis rewrites it every ten seconds of a rush, which takes a second of CPU each. Reading 512 MB takes some seconds at a restart.
    setsid redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --dir "$dir" --appendonly yes \
      --appendfsync everysec --auto-aof-rewrite-min-size 512mb --save '' --maxmemory 512mb --maxmemory-policy noeviction --databases 1 \
      >"$dir/redis.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
  fi
  wait_for 60 Redis "$dir/redis.log" "$pidfile" ready
  say "Redis is ready on 127.0.0.1:$REDIS_PORT"
}

case ${1:-} in
prepare) prepare ;;
up) up ;;
down) stop_pid "$pidfile" redis-server 10 ;;
status) if running "$pidfile" redis-server && ready; then say "Redis: up"; else say "Redis: down"; exit 1; fi ;;
*) die "usage: redis.sh up|down|status|prepare" ;;
esac
