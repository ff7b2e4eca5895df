#!/usr/bin/env bash
# Runs MySQL on 127.0.0.1, in a directory of its own. Debian 12 has no MySQL server, but Debian sid has
# mysql-server-core, which is unpacked into a separate root. Usage: mysql.sh up|down|status|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$SERVICES_DIR/mysql
root=$dir/root
pidfile=$dir/mysql.pid

# mirror prints the first Debian mirror in the configuration of apt.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/) { print $i; exit } }' | head -n 1 | grep . ||
    cat /etc/apt/sources.list.d/*.sources |
    awk '$1 == "URIs:" { for (i = 2; i <= NF; i++) if ($i ~ /\/debian\/?$/) { print $i; exit } }' | head -n 1
}

prepare() {
  mkdir -p "$dir"
  [ -e "$root/.complete" ] && return 0
  [ "$(id -u)" = 0 ] || die "MySQL is installed by root: run once as root, or use a Docker engine"
  apt_install mmdebstrap mmdebstrap
  say "unpacking MySQL (about 10 s)"
  local try
  for try in 1 2 3; do
    rm -rf "$root"
    if mmdebstrap --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
      --include=mysql-server-core,libc6,base-files,base-passwd,passwd,dash,coreutils,perl-base \
      --keyring=/usr/share/keyrings/debian-archive-keyring.gpg sid "$root" "$(mirror)" >"$dir/install.log" 2>&1; then
      mkdir -p "$root/var/lib/mysql" "$root/run/mysqld"
      touch "$root/.complete"
      return 0
    fi
    say "unpacking failed (try $try of 3)"
  done
  die "MySQL could not be unpacked; see $dir/install.log"
}

initialize() {
  [ -d "$root/var/lib/mysql/mysql" ] && return 0
  rm -rf "$root/var/lib/mysql"
  mkdir -p "$root/var/lib/mysql"
  chroot "$root" mysqld --no-defaults --initialize-insecure --datadir=/var/lib/mysql --user=root >"$dir/init.log" 2>&1 ||
    die "MySQL could not be initialized; see $dir/init.log"
}

# ready succeeds when the server accepts connections, which is when the port opens. The client is not part of the
# package.
ready() { port_open "$MYSQL_PORT" && grep -q 'ready for connections' "$dir/mysql.log"; }

up() {
  prepare
  initialize
  if ! running "$pidfile" mysqld; then
    if port_open "$MYSQL_PORT"; then die "port $MYSQL_PORT is taken by another program: set MYSQL_PORT"; fi
    # The database in the README's examples is created at each start, if it is missing.
    echo 'CREATE DATABASE IF NOT EXISTS spillway CHARACTER SET utf8mb4;' >"$root/var/lib/spillway-init.sql"
    : >"$dir/mysql.log"
    setsid chroot "$root" mysqld --no-defaults --datadir=/var/lib/mysql --user=root --port="$MYSQL_PORT" \
      --bind-address=127.0.0.1 --socket=/run/mysqld/mysqld.sock --mysqlx=OFF --secure-file-priv= \
      --pid-file=/run/mysqld/m.pid --innodb-buffer-pool-size=256M --innodb-redo-log-capacity=256M --skip-log-bin \
      --performance-schema=OFF --max-connections=300 --character-set-server=utf8mb4 --default-time-zone=+00:00 \
      --init-file=/var/lib/spillway-init.sql >"$dir/mysql.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
  fi
  wait_for 120 MySQL "$dir/mysql.log" "$pidfile" ready
  say "MySQL is ready on 127.0.0.1:$MYSQL_PORT (user root, no password, database spillway)"
}

case ${1:-} in
prepare) prepare ;;
up) up ;;
down) stop_pid "$pidfile" mysqld 30 ;;
status) if running "$pidfile" mysqld && port_open "$MYSQL_PORT"; then say "MySQL: up"; else say "MySQL: down"; exit 1; fi ;;
*) die "usage: mysql.sh up|down|status|prepare" ;;
esac
