# What the scripts in this folder share. Sourced, not run.
# shellcheck shell=bash

# Everything downloaded or written lives here, outside the checkout, so that a fresh clone starts warm.
SERVICES_DIR=${SPILLWAY_SERVICES_DIR:-$HOME/.cache/spillway/services}
export REDIS_PORT=${REDIS_PORT:-16379} MYSQL_PORT=${MYSQL_PORT:-13306}
export ROCKETMQ_NAMESRV_PORT=${ROCKETMQ_NAMESRV_PORT:-19876} ROCKETMQ_BROKER_PORT=${ROCKETMQ_BROKER_PORT:-20911}
export ROCKETMQ_GRPC_PORT=${ROCKETMQ_GRPC_PORT:-18081} ROCKETMQ_REMOTING_PORT=${ROCKETMQ_REMOTING_PORT:-18080}

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# process PIDFILE: prints the pid of the file, if there is one.
process() { grep -Esx '[0-9]+' "$1"; }

# alive PIDFILE: is a thread of that process left that is no zombie? Its own entry, /proc/PID, shows the first thread only: that one may be
# a zombie while another one is still in fsync and holds the listening socket. The command line says nothing here: it is empty for a
# moment whenever the process executes another program, as it does while it starts.
alive() { local pid; pid=$(process "$1") && grep -aqsvE '^[0-9]+ \(.*\) [ZX] ' "/proc/$pid/task/"*/stat; }

# running PIDFILE WORD: is it alive, and is WORD in its command line (so that a number that the system gave to another process since is
# not mistaken for ours)?
running() { local pid; pid=$(process "$1") && grep -aqs -- "$2" "/proc/$pid/task/"*/cmdline; }

# killed_within is how many seconds a process has to end after kill -9: a thread in fsync ends when the disk is done.
killed_within=60

# stop_pid PIDFILE WORD SECONDS: ends that process, gracefully first, and returns when it is gone.
stop_pid() {
  local pid
  if running "$1" "$2"; then
    pid=$(process "$1")
    kill "$pid" 2>/dev/null || true # It may have ended by itself.
    if ! gone_within "$3" "$1" "$2"; then
      kill -9 "$pid" 2>/dev/null || true
      gone_within "$killed_within" "$1" "$2" || die "process $pid ($2) did not end within $killed_within s of kill -9"
    fi
  fi
  rm -f "$1"
}

# gone_within SECONDS PIDFILE WORD: does that process end in time?
gone_within() {
  local deadline=$((SECONDS + $1))
  while running "$2" "$3"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# log_tail is how many lines of its log a server that does not start shows.
log_tail=20

# wait_for SECONDS WHAT LOG PIDFILE COMMAND...: until the command succeeds. Fails at once when the process of the pid file ends; without
# a pid file (''), only when the time is over.
wait_for() {
  local limit=$1 what=$2 log=$3 pidfile=$4 deadline
  shift 4
  deadline=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    if [ -n "$pidfile" ] && ! alive "$pidfile"; then give_up "$what ended while it started" "$log"; fi
    [ "$SECONDS" -lt "$deadline" ] || give_up "$what did not answer within $limit s" "$log"
    sleep 0.3
  done
}

# give_up WHY LOG: dies with the end of the log.
give_up() {
  tail -n "$log_tail" "$2" >&2 || true
  die "$1; see $2"
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
