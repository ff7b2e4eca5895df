# Functions that the scripts in this directory share. Sourced, not run.
# shellcheck shell=bash

# Everything that is downloaded or written is stored here, outside the checkout, so that a fresh clone can use it.
SERVICES_DIR=${SPILLWAY_SERVICES_DIR:-$HOME/.cache/spillway/services}
export REDIS_PORT=${REDIS_PORT:-16379} MYSQL_PORT=${MYSQL_PORT:-13306}
# The first of three ports each.
export REDIS_NODES_PORT=${REDIS_NODES_PORT:-16380} REDIS_SENTINEL_PORT=${REDIS_SENTINEL_PORT:-26380}
export ROCKETMQ_NAMESRV_PORT=${ROCKETMQ_NAMESRV_PORT:-19876} ROCKETMQ_BROKER_PORT=${ROCKETMQ_BROKER_PORT:-20911}
export ROCKETMQ_GRPC_PORT=${ROCKETMQ_GRPC_PORT:-18081} ROCKETMQ_REMOTING_PORT=${ROCKETMQ_REMOTING_PORT:-18080}

# The DSN of the MySQL that runs, as --mysql-file reads it.
MYSQL_DSN_FILE=$SERVICES_DIR/mysql/dsn

# mysql_dsn USER[:PASSWORD]: writes it.
mysql_dsn() {
  mkdir -p "$SERVICES_DIR/mysql"
  (umask 077 && printf '%s@tcp(127.0.0.1:%s)/spillway\n' "$1" "$MYSQL_PORT" >"$MYSQL_DSN_FILE.new")
  mv "$MYSQL_DSN_FILE.new" "$MYSQL_DSN_FILE"
}

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# process PIDFILE: prints the pid in the file, if there is one.
process() { grep -Esx '[0-9]+' "$1"; }

# alive PIDFILE: succeeds if a thread of the process is left that is not a zombie. /proc/PID itself shows the first
# thread only, which may be a zombie while another one is still in fsync and holds the listening socket. The command
# line is not checked: it is empty for a moment while the process executes another program, as it does when it starts.
alive() { local pid; pid=$(process "$1") && grep -aqsvE '^[0-9]+ \(.*\) [ZX] ' "/proc/$pid/task/"*/stat; }

# running PIDFILE WORD: succeeds if the process is alive with WORD in its command line, so that a later process with the
# same pid is not mistaken for it.
running() { local pid; pid=$(process "$1") && grep -aqs -- "$2" "/proc/$pid/task/"*/cmdline; }

# killed_within is the maximum time from kill -9 to the end, in seconds: a thread in fsync ends when the disk is done.
killed_within=60

# stop_pid PIDFILE WORD SECONDS: ends the process, gracefully first, and returns when it has ended.
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

# gone_within SECONDS PIDFILE WORD: succeeds if the process ends in time.
gone_within() {
  local deadline=$((SECONDS + $1))
  while running "$2" "$3"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# log_tail is the number of log lines that are shown for a server that does not start.
log_tail=20

# wait_for SECONDS WHAT LOG PIDFILE COMMAND...: waits until the command succeeds. Fails at once when the process of the
# pid file ends; without a pid file (''), only at the timeout.
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

# give_up WHY LOG: exits with the reason and the end of the log.
give_up() {
  tail -n "$log_tail" "$2" >&2 || true
  die "$1; see $2"
}

# port_open PORT: succeeds if a process listens on the port of 127.0.0.1.
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# apt_install COMMAND PACKAGE...: installs the packages if the command is missing (Debian, as root).
apt_install() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  command -v apt-get >/dev/null || die "$command is missing, and this is no Debian: install $* or a Docker engine"
  [ "$(id -u)" = 0 ] || die "$command is missing: run as root once, or: apt-get install $*"
  say "installing $*"
  # Two services may be installed at the same time: apt's own lock makes one wait.
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  "${apt[@]}" update >/dev/null || true
  # A package with a service that starts by itself would occupy the default port, so services are disabled meanwhile.
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
