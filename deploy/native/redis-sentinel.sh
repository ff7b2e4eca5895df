#!/usr/bin/env bash
# Runs a Redis primary with two replicas and three Sentinels on 127.0.0.1, on the ports from REDIS_SENTINEL_PORT for the Sentinels and from
# REDIS_NODES_PORT for the others. Usage: redis-sentinel.sh up|down|status|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$SERVICES_DIR/redis-sentinel
name=mymaster

# cli PORT ARGUMENT...: sends a command.
cli() { redis-cli -h 127.0.0.1 -p "$@"; }
nodes() { seq "$REDIS_NODES_PORT" $((REDIS_NODES_PORT + 2)); }
sentinels() { seq "$REDIS_SENTINEL_PORT" $((REDIS_SENTINEL_PORT + 2)); }
url() { printf 'redis-sentinel://%s/%s\n' "$(sentinels | sed 's/^/127.0.0.1:/' | paste -sd,)" "$name"; }

node_ready() { cli "$1" info replication | grep -qE '^(role:master|master_link_status:up)'; }
# A Sentinel is ready when it knows the replicas and the other Sentinels.
sentinel_ready() { cli "$1" info sentinel | grep -q 'status=ok,.*slaves=2,sentinels=3'; }

prepare() {
  mkdir -p "$dir"
  apt_install redis-server redis-server redis-tools
}

# The primary does not take writes while no replica has confirmed its data for 5 s: cut off from both, it would take orders that are lost when
# a replica is promoted. At the next start the Sentinels, which remember it, say who is the primary: a configuration file keeps that.
start_node() {
  local port=$1 conf=$dir/node-$1.conf
  if [ ! -e "$conf" ]; then
    mkdir -p "$dir/$port"
    cat >"$conf" <<CONF
port $port
bind 127.0.0.1
dir $dir/$port
appendonly yes
appendfsync everysec
auto-aof-rewrite-min-size 512mb
save ""
maxmemory 512mb
maxmemory-policy noeviction
databases 1
min-replicas-to-write 1
min-replicas-max-lag 5
repl-diskless-sync-delay 0
CONF
    [ "$port" = "$REDIS_NODES_PORT" ] || echo "replicaof 127.0.0.1 $REDIS_NODES_PORT" >>"$conf"
  fi
  start "$port" "$conf"
}

start_sentinel() {
  local port=$1 conf=$dir/sentinel-$1.conf
  if [ ! -e "$conf" ]; then
    mkdir -p "$dir/$port"
    cat >"$conf" <<CONF
port $port
bind 127.0.0.1
dir $dir/$port
sentinel monitor $name 127.0.0.1 $REDIS_NODES_PORT 2
sentinel down-after-milliseconds $name 5000
sentinel failover-timeout $name 20000
sentinel parallel-syncs $name 1
CONF
  fi
  start "$port" "$conf" --sentinel
}

# start PORT CONFIG ARGUMENT...: starts a server, unless it runs.
start() {
  local port=$1 pidfile=$dir/$1.pid
  shift
  if running "$pidfile" redis-server; then return; fi
  if port_open "$port"; then die "port $port is taken by another program: set REDIS_NODES_PORT or REDIS_SENTINEL_PORT"; fi
  setsid redis-server "$@" >"$dir/$port.log" 2>&1 </dev/null &
  echo $! >"$pidfile"
}

up() {
  local port
  prepare
  for port in $(nodes); do start_node "$port"; done
  for port in $(nodes); do wait_for 60 "Redis on port $port" "$dir/$port.log" "$dir/$port.pid" node_ready "$port"; done
  for port in $(sentinels); do start_sentinel "$port"; done
  for port in $(sentinels); do wait_for 60 "Sentinel on port $port" "$dir/$port.log" "$dir/$port.pid" sentinel_ready "$port"; done
  say "Redis with Sentinels is ready: --redis $(url)"
}

down() { for port in $(sentinels) $(nodes); do stop_pid "$dir/$port.pid" redis-server 10; done; }

status() {
  local port failed=0
  for port in $(nodes); do
    if running "$dir/$port.pid" redis-server && node_ready "$port"; then say "Redis on port $port: up"; else say "Redis on port $port: down"; failed=1; fi
  done
  for port in $(sentinels); do
    if running "$dir/$port.pid" redis-server && sentinel_ready "$port"; then say "Sentinel on port $port: up"; else say "Sentinel on port $port: down"; failed=1; fi
  done
  return "$failed"
}

case ${1:-} in
prepare | up | down | status) "$1" ;;
*) die "usage: redis-sentinel.sh up|down|status|prepare" ;;
esac
