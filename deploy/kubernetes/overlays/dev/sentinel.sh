#!/bin/sh
# Starts the Sentinel of a pod, with what it has learnt before. POD is the name of the pod.
set -eu
file=${DATA:-/data}/sentinel.conf
[ -s "$file" ] || cat >"$file" <<CONF
port 26379
protected-mode no
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${POD:?}${SERVICE=.redis}
sentinel monitor spillway redis-0$SERVICE 6379 2
sentinel down-after-milliseconds spillway 5000
sentinel failover-timeout spillway 30000
CONF
exec redis-server "$file" --sentinel
