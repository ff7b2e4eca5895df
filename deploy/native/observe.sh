#!/usr/bin/env bash
# Starts and stops what one observes a shop with, on 127.0.0.1 and without Docker: Jaeger, the OpenTelemetry collector and Prometheus.
# The first start builds Jaeger and the collector (some minutes). Usage:
#   observe.sh up|down|status|prepare [jaeger|collector|prometheus]...
# Without a name it does so with all three. Tests set OBSERVE_DIR, a directory of their own, and the ports.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${OBSERVE_DIR:-$SERVICES_DIR/observe} # logs, pid files and Prometheus' data
bin=$SERVICES_DIR/observe/bin

# All ports are below the range from which the kernel takes those of connections.
OTLP_PORT=${OTLP_PORT:-14317}                       # the collector, for OTEL_EXPORTER_OTLP_ENDPOINT
COLLECTOR_METRICS_PORT=${COLLECTOR_METRICS_PORT:-8889} # its metrics, for Prometheus
JAEGER_OTLP_PORT=${JAEGER_OTLP_PORT:-14318} # traces over OTLP gRPC, from the collector or a shop
JAEGER_PORT=${JAEGER_PORT:-16686}           # /api/traces
JAEGER_ADMIN_PORT=${JAEGER_ADMIN_PORT:-14269}
# Jaeger listens on these too, but nothing here uses them.
JAEGER_QUERY_GRPC_PORT=${JAEGER_QUERY_GRPC_PORT:-16685} JAEGER_OTLP_HTTP_PORT=${JAEGER_OTLP_HTTP_PORT:-14319}
JAEGER_COLLECTOR_HTTP_PORT=${JAEGER_COLLECTOR_HTTP_PORT:-14268} JAEGER_COLLECTOR_GRPC_PORT=${JAEGER_COLLECTOR_GRPC_PORT:-14250}
PROMETHEUS_PORT=${PROMETHEUS_PORT:-19090}
# The admin addresses of the shop's processes, separated by commas.
SPILLWAY_ADMINS=${SPILLWAY_ADMINS:-127.0.0.1:9464}

builder_version=v0.165.0 # goes with the modules in deploy/otel/builder.yaml
# build_limit bounds one build, in seconds: Jaeger with an empty build cache is 280 s of CPU time, and took 640 s at the lowest priority beside
# other work. Downloads come on top.
build_limit=900
jaeger_inputs=("$deploy/jaeger/go.mod" "$deploy/jaeger/go.sum")
collector_inputs=("$deploy/otel/builder.yaml")

prepare() {
  local part
  mkdir -p "$bin" "$dir"
  # Two callers, such as a test and `make observe`, must not build into the same file.
  exec 9>"$bin/lock"
  flock 9
  for part in "${parts[@]}"; do "prepare_$part"; done
  exec 9>&-
}

prepare_prometheus() { apt_install promtool --no-install-recommends prometheus; }

prepare_jaeger() {
  if is_built jaeger "${jaeger_inputs[@]}"; then return 0; fi
  say "building Jaeger"
  (cd "$deploy/jaeger" &&
    timeout "$build_limit" go build -trimpath -ldflags '-s -w' -o "$bin/jaeger.new" github.com/jaegertracing/jaeger/cmd/all-in-one) ||
    die "building Jaeger failed, or took more than $build_limit s"
  built jaeger "$bin/jaeger.new" "${jaeger_inputs[@]}"
}

prepare_collector() {
  local out=$SERVICES_DIR/observe/otelcol log=$SERVICES_DIR/observe/builder.log
  if is_built otelcol "${collector_inputs[@]}"; then return 0; fi
  say "building the collector"
  GOBIN=$bin timeout "$build_limit" go install "go.opentelemetry.io/collector/cmd/builder@$builder_version" ||
    die "building the collector's builder failed, or took more than $build_limit s"
  timeout "$build_limit" "$bin/builder" --config "$deploy/otel/builder.yaml" --output-path "$out" >"$log" 2>&1 ||
    die "building the collector failed, or took more than $build_limit s; see $log"
  built otelcol "$out/otelcol" "${collector_inputs[@]}"
}

# fingerprint FILE...: prints a hash of the contents. Times do not count: those of a fresh clone are always new.
fingerprint() { cat "$@" | sha256sum | cut -d ' ' -f 1; }

# is_built NAME INPUT...: succeeds if the program is there and was built from these inputs.
is_built() {
  local name=$1
  shift
  [ -x "$bin/$name" ] && [ "$(cat "$bin/$name.inputs" 2>/dev/null)" = "$(fingerprint "$@")" ]
}

# built NAME FILE INPUT...: installs the program that was built from the inputs.
built() {
  local name=$1 file=$2
  shift 2
  mv "$file" "$bin/$name"
  fingerprint "$@" >"$bin/$name.inputs"
}

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
    --query.http-server.host-port="127.0.0.1:$JAEGER_PORT" --query.grpc-server.host-port="127.0.0.1:$JAEGER_QUERY_GRPC_PORT" \
    --admin.http.host-port="127.0.0.1:$JAEGER_ADMIN_PORT" \
    --collector.otlp.enabled=true --collector.otlp.grpc.host-port="127.0.0.1:$JAEGER_OTLP_PORT" \
    --collector.otlp.http.host-port="127.0.0.1:$JAEGER_OTLP_HTTP_PORT" \
    --collector.http-server.host-port="127.0.0.1:$JAEGER_COLLECTOR_HTTP_PORT" \
    --collector.grpc-server.host-port="127.0.0.1:$JAEGER_COLLECTOR_GRPC_PORT"
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
  local part
  prepare
  for part in "${parts[@]}"; do "start_$part"; done
  [ "${#parts[@]}" = "${#all_parts[@]}" ] || return 0
  say "Prometheus is ready on http://127.0.0.1:$PROMETHEUS_PORT, Jaeger on http://127.0.0.1:$JAEGER_PORT"
  say "start a shop with: OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$OTLP_PORT OTEL_METRICS_EXPORTER=none bin/spillway all"
}

# program PART: prints the name of the part's program, log and pid file.
program() { if [ "$1" = collector ]; then echo otelcol; else echo "$1"; fi; }

down() {
  local part
  for part in "${parts[@]}"; do stop_pid "$dir/$(program "$part").pid" "$(program "$part")" 10; done
}

status() {
  local part name down=0
  for part in "${parts[@]}"; do
    name=$(program "$part")
    if running "$dir/$name.pid" "$name"; then say "$name: up"; else say "$name: down"; down=1; fi
  done
  return "$down"
}

# In the order of their start: the collector sends to Jaeger, and Prometheus scrapes the collector.
all_parts=(jaeger collector prometheus)
command=${1:-}
shift || true
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=("${all_parts[@]}")
for part in "${parts[@]}"; do
  case $part in jaeger | collector | prometheus) ;; *) die "unknown part '$part': jaeger, collector or prometheus" ;; esac
done
case $command in
prepare | up | down | status) "$command" ;;
*) die "usage: observe.sh up|down|status|prepare [jaeger|collector|prometheus]..." ;;
esac
