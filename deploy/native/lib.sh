# What the scripts in this folder share. Sourced, not run.
# shellcheck shell=bash

# Everything downloaded or written lives here, outside the checkout, so that a fresh clone starts warm.
SERVICES_DIR=${SPILLWAY_SERVICES_DIR:-$HOME/.cache/spillway/services}
export REDIS_PORT=${REDIS_PORT:-16379} MYSQL_PORT=${MYSQL_PORT:-13306}
export ROCKETMQ_NAMESRV_PORT=${ROCKETMQ_NAMESRV_PORT:-19876} ROCKETMQ_BROKER_PORT=${ROCKETMQ_BROKER_PORT:-20911}
export ROCKETMQ_GRPC_PORT=${ROCKETMQ_GRPC_PORT:-18081} ROCKETMQ_REMOTING_PORT=${ROCKETMQ_REMOTING_PORT:-18080}

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# running PIDFILE WORD: does the process of the pid file live, and is WORD in its command line (so that a number that
# the system gave to another process since is not mistaken for ours)?
running() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$2"
}

# stop_pid PIDFILE WORD SECONDS: ends that process, gracefully first.
stop_pid() {
  running "$1" "$2" || { rm -f "$1"; return 0; }
  local pid deadline
  pid=$(cat "$1")
  deadline=$((SECONDS + $3))
  kill "$pid"
  while running "$1" "$2" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
  if running "$1" "$2"; then kill -9 "$pid"; fi
  rm -f "$1"
}

# wait_for SECONDS WHAT LOG COMMAND...: until the command succeeds.
wait_for() {
  local limit=$1 what=$2 log=$3 deadline
  shift 3
  deadline=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || die "$what did not answer within $limit s; see $log"
    sleep 0.3
  done
}

# port_open PORT: does anything listen on 127.0.0.1?
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# apt_install COMMAND PACKAGE...: installs the packages if the command is missing (Debian, as root).
apt_install() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  command -v apt-get >/dev/null || die "$command is missing, and this is no Debian: install $* or a Docker engine"
  [ "$(id -u)" = 0 ] || die "$command is missing: run as root once, or: apt-get install $*"
  say "installing $*"
  # Two services may install at the same time: apt's own lock makes one wait.
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  "${apt[@]}" update >/dev/null || true
  # A package whose service starts by itself would take the default port: that is not what was asked for.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d.spillway
  chmod +x /usr/sbin/policy-rc.d.spillway
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    mv /usr/sbin/policy-rc.d.spillway /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  else
    rm -f /usr/sbin/policy-rc.d.spillway
  fi
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y "$@" >"$SERVICES_DIR/apt-$command.log" 2>&1 ||
    die "installing $* failed; see $SERVICES_DIR/apt-$command.log"
}
