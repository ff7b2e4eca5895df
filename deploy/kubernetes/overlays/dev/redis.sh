#!/bin/sh
# Starts the Redis of a pod, as the primary or as its replica: the Sentinels name the primary. Before they do, it is the one of pod 0.
# POD is the name of the pod, SERVICE the end of its address.
set -eu
host=${POD:?}${SERVICE=.redis}
for pod in redis-0 redis-1 redis-2; do
  primary=$(timeout 3 redis-cli -h "$pod$SERVICE" -p 26379 --raw SENTINEL get-master-addr-by-name spillway 2>/dev/null | head -n 1) || primary=
  case $primary in redis-*) break ;; *) primary= ;; esac
done
[ -n "$primary" ] || primary=redis-0$SERVICE
set -- --dir "${DATA:-/data}" --appendonly yes --appendfsync everysec --auto-aof-rewrite-min-size 512mb --save "" \
  --maxmemory 512mb --maxmemory-policy noeviction --min-replicas-to-write 1 --min-replicas-max-lag 5 \
  --protected-mode no --replica-announce-ip "$host"
[ "$primary" = "$host" ] || set -- "$@" --replicaof "$primary" 6379
exec redis-server "$@"
