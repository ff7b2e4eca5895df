#!/usr/bin/env bash
# Runs MySQL on 127.0.0.1, in a directory of its own. Debian 12 has no MySQL server, but Debian sid has
# mysql-server-core, which is unpacked into a separate root. The server has a user and a password of its own; the DSN is in a file that only
# its owner reads. Usage: mysql.sh up|down|status|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$SERVICES_DIR/mysql
root=$dir/root
pidfile=$dir/mysql.pid
init=/var/lib/spillway-init.sql # in the root

# The user of the server, who owns its data and nothing else. It needs no account: Debian gives this number to no package.
uid=64306

# as_mysql runs a command in the root as that user. It is no function, so that the pid of one in the background is that of the command.
as_mysql=(setsid chroot --userspec="$uid:$uid" --groups= "$root")

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
  own
  "${as_mysql[@]}" mysqld --no-defaults --initialize-insecure --datadir=/var/lib/mysql >"$dir/init.log" 2>&1 ||
    die "MySQL could not be initialized; see $dir/init.log"
}

# own gives the data to the server's user: those of older versions belong to root.
own() {
  chmod 700 "$root/var/lib/mysql"
  chown -R "$uid:$uid" "$root/var/lib/mysql" "$root/run/mysqld"
}

# password prints that of the last start, or makes one.
password() {
  local old
  old=$(sed -n 's/^root:\([0-9a-f]*\)@.*/\1/p' "$MYSQL_DSN_FILE" 2>/dev/null) || true
  if [ -n "$old" ]; then printf '%s' "$old"; else od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; fi
}

# write_init PASSWORD: what the server executes at each start. It sets the password also where data of an older version have none, and creates the
# database of the README's examples, if it is missing.
write_init() {
  rm -f "$root$init"
  (umask 077 && cat >"$root$init") <<SQL
ALTER USER 'root'@'localhost' IDENTIFIED BY '$1';
CREATE DATABASE IF NOT EXISTS spillway CHARACTER SET utf8mb4;
SQL
  chown "$uid:$uid" "$root$init"
}

# ready succeeds when the server accepts connections, which is when the port opens. The client is not part of the
# package.
ready() { port_open "$MYSQL_PORT" && grep -q 'ready for connections' "$dir/mysql.log"; }

up() {
  prepare
  initialize
  if ! running "$pidfile" mysqld; then
    if port_open "$MYSQL_PORT"; then die "port $MYSQL_PORT is taken by another program: set MYSQL_PORT"; fi
    local secret
    secret=$(password)
    own
    write_init "$secret"
    mysql_dsn "root:$secret"
    : >"$dir/mysql.log"
    # The tests of several packages run at once, some with nine processes of up to 34 connections each.
    "${as_mysql[@]}" mysqld --no-defaults --datadir=/var/lib/mysql --port="$MYSQL_PORT" \
      --bind-address=127.0.0.1 --socket=/run/mysqld/mysqld.sock --mysqlx=OFF --secure-file-priv=NULL --local-infile=OFF \
      --pid-file=/run/mysqld/m.pid --innodb-buffer-pool-size=256M --innodb-redo-log-capacity=256M --skip-log-bin \
      --performance-schema=OFF --max-connections=1000 --character-set-server=utf8mb4 --default-time-zone=+00:00 \
      --init-file="$init" >"$dir/mysql.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
  elif [ ! -e "$MYSQL_DSN_FILE" ]; then
    mysql_dsn root # An older version of this script has started it.
  fi
  wait_for 120 MySQL "$dir/mysql.log" "$pidfile" ready
  say "MySQL is ready on 127.0.0.1:$MYSQL_PORT (database spillway; the DSN is in $MYSQL_DSN_FILE)"
}

case ${1:-} in
prepare) prepare ;;
up) up ;;
down) stop_pid "$pidfile" mysqld 30 ;;
status) if running "$pidfile" mysqld && port_open "$MYSQL_PORT"; then say "MySQL: up"; else say "MySQL: down"; exit 1; fi ;;
*) die "usage: mysql.sh up|down|status|prepare" ;;
esac
