#!/usr/bin/env bash
# Starts and stops what one observes a shop with, on 127.0.0.1 and without Docker: the OpenTelemetry collector, Prometheus and Jaeger.
# The first start builds the collector and Jaeger (some minutes). Usage: observe.sh up|down|status|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$SERVICES_DIR/observe
bin=$dir/bin

# All ports are below the range from which the kernel takes those of connections.
OTLP_PORT=${OTLP_PORT:-14317}                       # the collector, for OTEL_EXPORTER_OTLP_ENDPOINT
COLLECTOR_METRICS_PORT=${COLLECTOR_METRICS_PORT:-8889} # its metrics, for Prometheus
JAEGER_OTLP_PORT=${JAEGER_OTLP_PORT:-14318}
JAEGER_PORT=${JAEGER_PORT:-16686} # /api/traces
JAEGER_ADMIN_PORT=${JAEGER_ADMIN_PORT:-14269}
PROMETHEUS_PORT=${PROMETHEUS_PORT:-19090}
# The admin addresses of the shop's processes, separated by commas.
SPILLWAY_ADMINS=${SPILLWAY_ADMINS:-127.0.0.1:9464}

builder_version=v0.165.0 # goes with the modules in deploy/otel/builder.yaml

prepare() {
  mkdir -p "$bin"
  apt_install promtool --no-install-recommends prometheus
  if ! newer "$bin/jaeger" "$deploy/jaeger/go.sum"; then
    say "building Jaeger"
    (cd "$deploy/jaeger" && go build -trimpath -ldflags '-s -w' -o "$bin/jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one) ||
      die "building Jaeger failed"
  fi
  if ! newer "$bin/otelcol" "$deploy/otel/builder.yaml"; then
    say "building the collector"
    GOBIN=$bin go install "go.opentelemetry.io/collector/cmd/builder@$builder_version" || die "building the collector's builder failed"
    "$bin/builder" --config "$deploy/otel/builder.yaml" --output-path "$dir/otelcol" >"$dir/builder.log" 2>&1 ||
      die "building the collector failed; see $dir/builder.log"
    mv "$dir/otelcol/otelcol" "$bin/otelcol"
  fi
}

# newer FILE SOURCE: succeeds if the file exists and is not older than what it is made of.
newer() { [ -x "$1" ] && [ ! "$2" -nt "$1" ]; }

# launch NAME PORT COMMAND...: starts a program in the background, unless it runs.
launch() {
  local name=$1 port=$2
  shift 2
  if ! running "$dir/$name.pid" "$name"; then
    if port_open "$port"; then die "port $port of $name is taken by another program"; fi
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    echo $! >"$dir/$name.pid"
  fi
}

answers() { curl -fsS -o /dev/null "http://127.0.0.1:$1$2"; }

start_jaeger() {
  # It keeps at most 100,000 traces, in memory. The other ports are named so that they are on 127.0.0.1 too.
  launch jaeger "$JAEGER_PORT" "$bin/jaeger" --memory.max-traces=100000 --log-level=warn \
    --query.http-server.host-port="127.0.0.1:$JAEGER_PORT" --query.grpc-server.host-port=127.0.0.1:16685 \
    --admin.http.host-port="127.0.0.1:$JAEGER_ADMIN_PORT" \
    --collector.otlp.enabled=true --collector.otlp.grpc.host-port="127.0.0.1:$JAEGER_OTLP_PORT" \
    --collector.otlp.http.host-port=127.0.0.1:14319 \
    --collector.http-server.host-port=127.0.0.1:14268 --collector.grpc-server.host-port=127.0.0.1:14250
  wait_for 30 Jaeger "$dir/jaeger.log" "$dir/jaeger.pid" answers "$JAEGER_PORT" /api/services
}

start_collector() {
  OTLP_LISTEN=127.0.0.1:$OTLP_PORT JAEGER_OTLP=127.0.0.1:$JAEGER_OTLP_PORT PROMETHEUS_LISTEN=127.0.0.1:$COLLECTOR_METRICS_PORT \
    launch otelcol "$OTLP_PORT" "$bin/otelcol" --config "$deploy/otel/collector.yaml"
  wait_for 30 "the collector" "$dir/otelcol.log" "$dir/otelcol.pid" answers "$COLLECTOR_METRICS_PORT" /metrics
}

start_prometheus() {
  mkdir -p "$dir/prometheus"
  cat >"$dir/prometheus.yaml" <<CONFIG
global: {scrape_interval: ${SCRAPE_INTERVAL:-10s}, evaluation_interval: ${SCRAPE_INTERVAL:-10s}}
rule_files: ["$deploy/prometheus/rules.yaml"]
scrape_configs:
  - job_name: spillway
    static_configs: [{targets: [${SPILLWAY_ADMINS}]}]
  - job_name: collector
    honor_labels: true
    static_configs: [{targets: ["127.0.0.1:$COLLECTOR_METRICS_PORT"]}]
CONFIG
  launch prometheus "$PROMETHEUS_PORT" prometheus --config.file="$dir/prometheus.yaml" --storage.tsdb.path="$dir/prometheus" \
    --storage.tsdb.retention.time=1d --storage.tsdb.retention.size=1GB --web.listen-address="127.0.0.1:$PROMETHEUS_PORT" \
    --enable-feature=exemplar-storage --web.enable-lifecycle --log.level=warn
  wait_for 60 Prometheus "$dir/prometheus.log" "$dir/prometheus.pid" answers "$PROMETHEUS_PORT" /-/ready
}

up() {
  prepare
  start_jaeger
  start_collector
  start_prometheus
  say "Prometheus is ready on http://127.0.0.1:$PROMETHEUS_PORT, Jaeger on http://127.0.0.1:$JAEGER_PORT"
  say "start a shop with: OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$OTLP_PORT OTEL_METRICS_EXPORTER=none bin/spillway all"
}

parts=(prometheus otelcol jaeger)

status() {
  local part down=0
  for part in "${parts[@]}"; do
    if running "$dir/$part.pid" "$part"; then say "$part: up"; else say "$part: down"; down=1; fi
  done
  return "$down"
}

case ${1:-} in
prepare) prepare ;;
up) up ;;
down) for part in "${parts[@]}"; do stop_pid "$dir/$part.pid" "$part" 10; done ;;
status) status ;;
*) die "usage: observe.sh up|down|status|prepare" ;;
esac
