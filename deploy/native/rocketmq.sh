#!/usr/bin/env bash
# Runs RocketMQ on 127.0.0.1 in two JVMs: a nameserver, and a broker with the gRPC proxy in it. The jars come from Maven
# Central. Usage: rocketmq.sh up|grant|down|status|prepare [DIR], seed STORE, or check. With ROCKETMQ_PROXY=own the proxy is a third JVM, as in a
# cluster with several brokers: `start` then starts those of them that are not running; with ROCKETMQ_SECOND_PORT there is a
# second broker, on this port, two below it and one above. DIR is the data directory; tests
# set their own, with ports and names in the environment. ROCKETMQ_TLS_CERT and ROCKETMQ_TLS_KEY name PEM files: the proxy
# then refuses plain text. ROCKETMQ_ADMIN=NAME:SECRET makes an operator's user: every request must then be signed (ACL 2.0),
# and `grant` makes the shop's user ROCKETMQ_USER=NAME:SECRET, with what the shop needs and no more.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lib=$SERVICES_DIR/rocketmq/lib
dir=${2:-$SERVICES_DIR/rocketmq/data}
namesrv_pid=$dir/namesrv.pid
broker_pid=$dir/broker.pid
proxy_pid=$dir/proxy.pid
second_pid=$dir/second.pid
second_port=${ROCKETMQ_SECOND_PORT:-}
if [ "${ROCKETMQ_PROXY:-}" = own ]; then broker_main=BrokerStartup; else broker_main=ProxyStartup; fi

admin=${ROCKETMQ_ADMIN:-}
# tls is for the JVM of the proxy, and tls_admin for mqadmin's commands to a broker in the same JVM. Without a
# certificate, the proxy speaks plain text and TLS on one port.
tls=() tls_admin=()
if [ -n "${ROCKETMQ_TLS_CERT:-}" ]; then
  tls=(-Dtls.server.mode=enforcing)
  [ "${ROCKETMQ_PROXY:-}" = own ] || tls_admin=(-Dtls.enable=true)
fi

# The topic of order events and its groups, and those of the tests. A group may be NAME:RETRIES.
TOPICS=${ROCKETMQ_TOPICS:-"spillway-orders $(echo spillway-test-{0..7})"}
GROUPS_REAL=${ROCKETMQ_GROUPS:-"orders shipping mail"}
GROUPS_TEST=${ROCKETMQ_TEST_GROUPS-$(echo spillway-test-g{0..15})}
# This group reads the dead-letter topics of all others. A message keeps its count of attempts in the dead-letter topic,
# so the group of the topic itself would move it there again at once, without end.
DRAIN=dead-letters:1000000000

prepare() {
  mkdir -p "$SERVICES_DIR/rocketmq"
  apt_install java openjdk-17-jre-headless
  [ -e "$lib/.complete" ] && return 0
  apt_install mvn maven
  say "downloading RocketMQ (about 100 MB)"
  local try
  for try in 1 2 3; do
    if mvn -q -B -f "$here/../rocketmq/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$lib" \
      >"$SERVICES_DIR/rocketmq/install.log" 2>&1; then
      check_jars
      touch "$lib/.complete"
      return 0
    fi
    say "the download failed (try $try of 3)"
  done
  die "RocketMQ could not be downloaded; see $SERVICES_DIR/rocketmq/install.log"
}

# check_jars removes the downloaded jars and ends unless they are the ones that were tried, and no others: pom.xml names versions only.
check_jars() {
  local sums=$here/../rocketmq/jars.sha256
  if (cd "$lib" && sha256sum --quiet --strict --check "$sums" >&2) && diff <(cut -c 67- "$sums") <(LC_ALL=C && cd "$lib" && printf '%s\n' *.jar) >&2; then
    return 0
  fi
  rm -rf "$lib"
  die "the downloaded jars are not those of deploy/rocketmq/jars.sha256. After a change of pom.xml: (cd LIB && LC_ALL=C sha256sum *.jar) > jars.sha256"
}

# topic NAME QUEUES TYPE: prints one entry of topics.json.
topic() {
  printf '"%s":{"topicName":"%s","readQueueNums":%s,"writeQueueNums":%s,"perm":6,"topicFilterType":"SINGLE_TAG","topicSysFlag":0,"order":false,"attributes":{%s}}' \
    "$1" "$1" "$2" "$2" "$3"
}

# group NAME RETRIES: prints one entry of subscriptionGroup.json.
group() {
  printf '"%s":{"groupName":"%s","consumeEnable":true,"consumeFromMinEnable":true,"consumeBroadcastEnable":true,"consumeMessageOrderly":false,"retryQueueNums":1,"retryMaxTimes":%s,"brokerId":0,"whichBrokerWhenConsumeSlowly":1,"notifyConsumerIdsChangedEnable":true,"groupSysFlag":0,"consumeTimeoutMinute":15,"attributes":{}}' \
    "$1" "$1" "$2"
}

join_by_comma() { local IFS=,; printf '%s' "$*"; }

# seed STORE: writes topics and groups before the first start of a broker, because mqadmin takes seconds for each.
seed() {
  local config=$1/config version='{"counter":1,"stateVersion":0,"timestamp":1}' topics=() groups=() name retries
  mkdir -p "$config"
  for name in $TOPICS; do topics+=("$(topic "$name" 4 '"message.type":"NORMAL"')"); done
  # A message is redelivered when its lease of 30 s or more expires: 1,200 attempts last longer than an outage of a working
  # day. Only poison messages reach the dead-letter topic.
  for name in $GROUPS_REAL $GROUPS_TEST $DRAIN; do
    retries=1200
    case $name in *:*) retries=${name#*:} name=${name%%:*} ;; esac
    groups+=("$(group "$name" "$retries")")
    topics+=("$(topic "%DLQ%$name" 1 '')")
  done
  printf '{"dataVersion":%s,"topicConfigTable":{%s}}' "$version" "$(join_by_comma "${topics[@]}")" >"$config/topics.json"
  printf '{"dataVersion":%s,"forbiddenTable":{},"subscriptionGroupTable":{%s}}' "$version" "$(join_by_comma "${groups[@]}")" \
    >"$config/subscriptionGroup.json"
}

# upgrade adds the group of the dead-letter topics to older data directories.
upgrade() {
  local config=$dir/store/config/subscriptionGroup.json
  grep -q '"dead-letters"' "$config" || sed -i "s|\"subscriptionGroupTable\":{|&$(group "${DRAIN%%:*}" "${DRAIN#*:}"),|" "$config"
}

configure() {
  mkdir -p "$dir/conf" "$dir/store" "$dir/logs"
  cat >"$dir/conf/namesrv.conf" <<CONF
listenPort=$ROCKETMQ_NAMESRV_PORT
bindAddress=127.0.0.1
rocketmqHome=$dir
CONF
  configure_broker broker-a "$dir/store" "$ROCKETMQ_BROKER_PORT" "$dir/conf/broker.conf"
  [ -z "$second_port" ] || configure_broker broker-b "$dir/second" "$second_port" "$dir/conf/second.conf"
  # The broker's own metrics, for Prometheus; on every address.
  if [ -n "${ROCKETMQ_METRICS_PORT:-}" ]; then
    printf 'metricsExporterType=PROM\nmetricsPromExporterHost=127.0.0.1\nmetricsPromExporterPort=%s\n' "$ROCKETMQ_METRICS_PORT" >>"$dir/conf/broker.conf"
  fi
  configure_proxy
}

# configure_broker NAME STORE PORT FILE. Small mapped files save disk space; with SYNC_FLUSH a message is on the disk before
# the response.
configure_broker() {
  cat >"$4" <<CONF
brokerClusterName=DefaultCluster
brokerName=$1
brokerId=0
brokerIP1=127.0.0.1
bindAddress=127.0.0.1
listenPort=$3
fastListenPort=$(($3 - 2))
haListenPort=$(($3 + 1))
namesrvAddr=127.0.0.1:$ROCKETMQ_NAMESRV_PORT
storePathRootDir=$2
storePathCommitLog=$2/commitlog
mappedFileSizeCommitLog=67108864
mappedFileSizeConsumeQueue=600000
maxMessageSize=4194304
autoCreateTopicEnable=false
autoCreateSubscriptionGroup=false
flushDiskType=${ROCKETMQ_FLUSH:-ASYNC_FLUSH}
brokerRole=ASYNC_MASTER
deleteWhen=04
fileReservedTime=48
diskMaxUsedSpaceRatio=95
CONF
  [ -z "$admin" ] || auth_settings '%s=%s\n' '%s' org.apache.rocketmq.auth.{authentication,authorization}.provider.Local >>"$4"
  chmod 600 "$4"
}

# configure_proxy: access is checked by the proxy and by the brokers. The proxy reads the users from a broker.
configure_proxy() {
  local proxy_more=''
  if [ -n "$admin" ]; then
    proxy_more=,$(auth_settings '"%s":%s\n' '"%s"' org.apache.rocketmq.proxy.auth.Proxy{,} | paste -sd,),'"enableAclRpcHookForClusterMode":true'
    printf 'accessKey: %s\nsecretKey: %s\n' "${admin%%:*}" "${admin#*:}" >"$dir/conf/tools.yml"
    chmod 600 "$dir/conf/tools.yml"
  fi
  if [ -n "${ROCKETMQ_TLS_CERT:-}" ]; then
    proxy_more+=$(printf ',"tlsTestModeEnable":false,"tlsCertPath":"%s","tlsKeyPath":"%s"' "$ROCKETMQ_TLS_CERT" "$ROCKETMQ_TLS_KEY")
  fi
  (umask 077 && printf '{"rocketMQClusterName":"DefaultCluster","namesrvAddr":"127.0.0.1:%s","localServeAddr":"127.0.0.1","grpcServerPort":%s,"remotingListenPort":%s,"grpcClientConsumerMinLongPollingTimeoutMillis":100,"minInvisibleTimeMillsForRecv":1000%s}\n' \
    "$ROCKETMQ_NAMESRV_PORT" "$ROCKETMQ_GRPC_PORT" "$ROCKETMQ_REMOTING_PORT" "$proxy_more" >"$dir/conf/proxy.json")
}

# auth_settings FORMAT TEXT USERS RULES: prints the settings of ACL 2.0, each by FORMAT (name, value), with texts by TEXT.
# USERS and RULES are the starts of the names of the classes that read them. The documents in two settings are quoted where
# texts are.
auth_settings() {
  local auth=org.apache.rocketmq.auth name=${admin%%:*} secret=${admin#*:} q='"'
  [ "$2" = '%s' ] || q='\"'
  # shellcheck disable=SC2059
  {
    printf "$1" authenticationEnabled true authorizationEnabled true
    printf "$1" authenticationProvider "$(printf "$2" $auth.authentication.provider.DefaultAuthenticationProvider)"
    printf "$1" authenticationMetadataProvider "$(printf "$2" "$3AuthenticationMetadataProvider")"
    printf "$1" authorizationProvider "$(printf "$2" $auth.authorization.provider.DefaultAuthorizationProvider)"
    printf "$1" authorizationMetadataProvider "$(printf "$2" "$4AuthorizationMetadataProvider")"
    printf "$1" initAuthenticationUser "$(printf "$2" "{${q}username${q}:${q}$name${q},${q}password${q}:${q}$secret${q}}")"
    printf "$1" innerClientAuthenticationCredentials "$(printf "$2" "{${q}accessKey${q}:${q}$name${q},${q}secretKey${q}:${q}$secret${q}}")"
  }
}

# jvm PIDFILE LOG ARGUMENTS...: starts a JVM in the background that inherits none of the caller's files.
jvm() {
  local pidfile=$1 log=$2
  shift 2
  : >"$log"
  setsid env ROCKETMQ_HOME="$dir" NAMESRV_ADDR="127.0.0.1:$ROCKETMQ_NAMESRV_PORT" java -Duser.home="$dir" -XX:+UseSerialGC \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED -cp "$lib/*" "$@" >"$log" 2>&1 </dev/null &
  echo $! >"$pidfile"
}

start() {
  if [ -f "$dir/store/config/topics.json" ]; then running "$broker_pid" ProxyStartup || upgrade; else seed "$dir/store"; fi
  [ -z "$second_port" ] || [ -f "$dir/second/config/topics.json" ] || seed "$dir/second"
  configure
  if ! running "$namesrv_pid" NamesrvStartup; then
    jvm "$namesrv_pid" "$dir/logs/namesrv.out" -Xms64m -Xmx96m org.apache.rocketmq.namesrv.NamesrvStartup -c "$dir/conf/namesrv.conf"
  fi
  wait_for 120 "RocketMQ's nameserver" "$dir/logs/namesrv.out" "$namesrv_pid" port_open "$ROCKETMQ_NAMESRV_PORT"
  if [ "$broker_main" = ProxyStartup ]; then
    start_both
    return
  fi
  start_broker "$broker_pid" "$dir/conf/broker.conf" broker
  [ -z "$second_port" ] || start_broker "$second_pid" "$dir/conf/second.conf" second
  start_proxy
}

start_both() {
  if ! running "$broker_pid" ProxyStartup; then
    jvm "$broker_pid" "$dir/logs/broker.out" -Xms256m -Xmx512m -XX:MaxDirectMemorySize=256m -Dcom.rocketmq.mq.proxy=1 "${tls[@]}" \
      org.apache.rocketmq.proxy.ProxyStartup -pm local -n "127.0.0.1:$ROCKETMQ_NAMESRV_PORT" -bc "$dir/conf/broker.conf" -pc "$dir/conf/proxy.json"
  fi
  wait_for 120 "RocketMQ's broker" "$dir/logs/broker.out" "$broker_pid" grep -q 'startup successfully' "$dir/logs/broker.out"
}

# start_broker PIDFILE CONF NAME
start_broker() {
  if ! running "$1" BrokerStartup; then
    jvm "$1" "$dir/logs/$3.out" -Xms256m -Xmx384m -XX:MaxDirectMemorySize=256m \
      org.apache.rocketmq.broker.BrokerStartup -n "127.0.0.1:$ROCKETMQ_NAMESRV_PORT" -c "$2"
  fi
  wait_for 120 "RocketMQ's $3" "$dir/logs/$3.out" "$1" grep -q 'boot success' "$dir/logs/$3.out"
}

# start_proxy runs after the broker's start: a proxy that does not find the broker at the nameserver, where it registers
# a moment later, ends and is started again.
start_proxy() { wait_for 120 "RocketMQ's proxy" "$dir/logs/proxy.out" '' proxy_started; }

proxy_started() {
  if ! running "$proxy_pid" ProxyStartup; then
    jvm "$proxy_pid" "$dir/logs/proxy.out" -Xms64m -Xmx256m -XX:MaxDirectMemorySize=128m -Dcom.rocketmq.mq.proxy=1 "${tls[@]}" \
      org.apache.rocketmq.proxy.ProxyStartup -pm cluster -n "127.0.0.1:$ROCKETMQ_NAMESRV_PORT" -pc "$dir/conf/proxy.json"
    sleep 1 # Wait until the pid file names the running process.
  fi
  grep -q 'startup successfully' "$dir/logs/proxy.out"
}

# routable succeeds when messages can be sent: the broker registers its topics about 10 s after its start. mqadmin
# queries the nameserver.
routable() { mqadmin topicRoute -t "${TOPICS%% *}" | grep -q brokerDatas; }

# mqadmin COMMAND [ARGUMENTS...]: runs one of RocketMQ's administrative commands. With admin_options it may have options
# of the JVM.
admin_options=()
mqadmin() {
  local command=$1
  shift
  ROCKETMQ_HOME=$dir java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${admin_options[@]}" -Duser.home="$dir" -cp "$lib/*" \
    org.apache.rocketmq.tools.command.MQAdminStartup "$command" -n "127.0.0.1:$ROCKETMQ_NAMESRV_PORT" "$@" 2>&1
}

# grant makes the shop's user: it sends to the topic, and reads it and the dead-letter topics for its groups.
grant() {
  local user=${ROCKETMQ_USER:?} groups=() group admin_options=("${tls_admin[@]}")
  for group in $GROUPS_REAL $DRAIN; do groups+=("Group:${group%%:*}"); done
  administer createUser -u "${user%%:*}" -p "${user#*:}" -t Normal
  administer createAcl -s "User:${user%%:*}" -r "Topic:${TOPICS%% *}" -a Pub,Sub -d Allow
  administer createAcl -s "User:${user%%:*}" -r "$(join_by_comma "${groups[@]}" 'Topic:%DLQ%*')" -a Sub -d Allow
}

# administer COMMAND ARGUMENTS...: mqadmin at the broker. Its exit status does not show a failure, but its output does.
administer() {
  local command=$1 out
  shift
  out=$(mqadmin "$command" -b "127.0.0.1:$ROCKETMQ_BROKER_PORT" "$@") || true
  case $out in *success*) ;; *) die "mqadmin $command failed: $out" ;; esac
}

up() {
  prepare
  if running "$broker_pid" "$broker_main" && port_open "$ROCKETMQ_GRPC_PORT" && [ -e "$dir/ready.$(cat "$broker_pid")" ]; then
    say "RocketMQ is ready on 127.0.0.1:$ROCKETMQ_GRPC_PORT"
    return 0
  fi
  start
  wait_for 120 "RocketMQ's topics" "$dir/logs/broker.out" "$broker_pid" routable
  rm -f "$dir"/ready.*
  touch "$dir/ready.$(cat "$broker_pid")"
  say "RocketMQ is ready on 127.0.0.1:$ROCKETMQ_GRPC_PORT (gRPC proxy)"
}

case ${1:-} in
prepare) prepare ;;
up) up ;;
start) start ;;
# A store directory before its broker's first start, as compose.yaml has it; this needs bash alone.
check) check_jars ;;
seed) [ -f "${2:?}/config/topics.json" ] || seed "$2" ;;
grant) grant ;;
down)
  stop_pid "$proxy_pid" ProxyStartup 30
  stop_pid "$broker_pid" "$broker_main" 30
  stop_pid "$second_pid" BrokerStartup 30
  stop_pid "$namesrv_pid" NamesrvStartup 10
  ;;
status) if running "$broker_pid" "$broker_main" && port_open "$ROCKETMQ_GRPC_PORT"; then say "RocketMQ: up"; else say "RocketMQ: down"; exit 1; fi ;;
*) die "usage: rocketmq.sh up|start|grant|down|status|prepare [DIR], seed STORE, or check" ;;
esac
