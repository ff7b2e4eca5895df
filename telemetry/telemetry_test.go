package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/requestid"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/test/fakeotlp"
)

const (
	sampledParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	parentTrace     = "0af7651916cd43dd8448eb211c80319c"
)

// remote returns a context with the trace context of a caller.
func remote(t *testing.T, traceparent string) context.Context {
	return otel.GetTextMapPropagator().Extract(t.Context(), propagation.MapCarrier{"traceparent": traceparent})
}

func start(t *testing.T, c telemetry.Config) *telemetry.Telemetry {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	tel, err := telemetry.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tel.Stop(context.Background()) })
	return tel
}

func TestStart_WithoutVariablesOnlyTheTraceIDIsCarried(t *testing.T) {
	var text bytes.Buffer
	tel := start(t, telemetry.Config{Log: slog.New(slog.NewTextHandler(&text, nil))})
	ctx, span := otel.Tracer("test").Start(remote(t, sampledParent), "work")
	defer span.End()
	if span.IsRecording() {
		t.Error("a span is recorded")
	}
	tel.Log().InfoContext(ctx, "something happened")
	if !strings.Contains(text.String(), "trace_id="+parentTrace) {
		t.Errorf("the log line has no trace id: %s", text.String())
	}
	w := httptest.NewRecorder()
	if tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)); w.Code != http.StatusNotFound {
		t.Errorf("metrics: status %d", w.Code)
	}
}

func TestStop_ExportsAllSignals(t *testing.T) {
	c := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=shop-7")
	tel := start(t, telemetry.Config{Role: "all", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx := requestid.With(t.Context(), "R-1")
	ctx, span := otel.Tracer("test").Start(ctx, checkout, api.WithSpanKind(api.SpanKindServer))
	count, err := otel.Meter("test").Int64Counter("things")
	if err != nil {
		t.Fatal(err)
	}
	count.Add(ctx, 3)
	tel.Log().With("order_id", "O-1").InfoContext(ctx, "something happened")
	span.End()
	tel.Stop(t.Context())
	got := c.Received()
	for _, want := range []string{
		`"name":"` + checkout + `"`, `"name":"things"`, `"stringValue":"something happened"`, `"O-1"`, `"R-1"`, `"stringValue":"spillway"`,
		"spillway.role", "service.instance.id", "shop-7",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the collector got no %s", want)
		}
	}
	// As JSON has bytes: base64.
	if id := span.SpanContext().TraceID(); strings.Count(got, encoded(id[:])) < 2 {
		t.Errorf("the span and the log line do not share trace %s: %s", id, got)
	}
}

func TestStart_VariablesChooseSignals(t *testing.T) {
	c := fakeotlp.Start(t)
	for name, tc := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"disabled":          {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, false},
		"none":              {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, false},
		"other endpoint":    {map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": c.URL}, false},
		"own endpoint":      {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL}, true},
		"otlp":              {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"sampler is set":    {map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_TRACES_EXPORTER": "otlp"}, false},
		"its own protocol":  {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, true},
		"shared protocol":   {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, true},
		"protocol unneeded": {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			start(t, telemetry.Config{})
			_, span := otel.Tracer("test").Start(t.Context(), checkout, api.WithSpanKind(api.SpanKindServer))
			if span.SpanContext().IsSampled() != tc.want {
				t.Errorf("sampled: %t", !tc.want)
			}
		})
	}
}

// names reports whether the error names the variable and its value; the SDK's own errors have one of them.
func names(err error, name, value string) bool {
	return strings.Contains(err.Error(), name+"="+value) || strings.Contains(err.Error(), name+" value "+value) ||
		name == "OTEL_EXPORTER_OTLP_CERTIFICATE" && strings.Contains(err.Error(), value)
}

func TestStart_RefusesUnknownValues(t *testing.T) {
	for _, env := range [][2]string{
		{"OTEL_METRICS_EXPORTER", "prometheus"},
		{"OTEL_TRACES_EXPORTER", "carrier-pigeon"},
		{"OTEL_LOGS_EXPORTER", "otlp,console"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "::::"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "abc"},
		{"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "0"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent"},
		{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
		{"OTEL_TRACES_SAMPLER", "one_in_ten"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "-5"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "100000000000"},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "abc"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"},
		{"OTEL_BSP_SCHEDULE_DELAY", "0"},
		{"OTEL_BLRP_MAX_QUEUE_SIZE", "-1"},
		{"OTEL_METRIC_EXPORT_INTERVAL", "abc"},
		{"OTEL_SDK_DISABLED", "yes"},
	} {
		t.Run(env[0]+"="+env[1], func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(env[0], env[1])
			if _, err := telemetry.Start(t.Context(), telemetry.Config{Log: slog.Default()}); err == nil || !names(err, env[0], env[1]) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStart_RefusesUnknownSamplerArguments(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
	for _, arg := range []string{"abc", "-0.1", "10", "NaN"} {
		t.Setenv("OTEL_TRACES_SAMPLER_ARG", arg)
		if _, err := telemetry.Start(t.Context(), telemetry.Config{Log: slog.Default()}); err == nil || !names(err, "OTEL_TRACES_SAMPLER_ARG", arg) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

// TestStart_HeadersAreInNoError: headers of the exporter hold credentials.
func TestStart_HeadersAreInNoError(t *testing.T) {
	const secret = "canary-credential"
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	for _, headers := range []string{secret, "authorization=Basic%20x," + secret, "=" + secret, "authorization=%zz" + secret} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
		_, err := telemetry.Start(t.Context(), telemetry.Config{Log: slog.Default()})
		if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", headers, err)
		}
	}
}

func TestStop_UnreachableCollectorIsLoggedOnce(t *testing.T) {
	var text syncBuffer
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	tel := start(t, telemetry.Config{Log: slog.New(slog.NewTextHandler(&text, nil))})
	for range 3 {
		otel.Handle(io.ErrUnexpectedEOF)
	}
	_, span := otel.Tracer("test").Start(t.Context(), checkout, api.WithSpanKind(api.SpanKindServer))
	span.End()
	tel.Stop(t.Context())
	if n := strings.Count(text.String(), "telemetry is not exported"); n != 1 {
		t.Errorf("%d lines: %s", n, text.String())
	}
	if !strings.Contains(text.String(), "the last telemetry was not exported") {
		t.Errorf("the lost span is not logged: %s", text.String())
	}
}

// TestMetricsHandler_ExemplarsNameTheTrace: a scrape that accepts OpenMetrics shows which trace a measurement belongs to.
func TestMetricsHandler_ExemplarsNameTheTrace(t *testing.T) {
	c := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL)
	tel := start(t, telemetry.Config{Scraped: true})
	ctx, span := otel.Tracer("test").Start(t.Context(), checkout, api.WithSpanKind(api.SpanKindServer))
	defer span.End()
	count, err := otel.Meter("test").Int64Counter("app.order.placed")
	if err != nil {
		t.Fatal(err)
	}
	count.Add(ctx, 2)
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	tel.MetricsHandler().ServeHTTP(w, r)
	for _, want := range []string{"app_order_placed_total 2.0 # {", `trace_id="` + span.SpanContext().TraceID().String() + `"`, "go_goroutines ", "process_cpu_seconds_total", "# EOF"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the scrape has no %s", want)
		}
	}
}

type linksKey struct{}

// linked returns a context without a span, for a span that links to those of the traceparents.
func linked(t *testing.T, traceparents ...string) context.Context {
	t.Helper()
	var links []api.Link
	for _, p := range traceparents {
		links = append(links, api.LinkFromContext(remote(t, p)))
	}
	return context.WithValue(t.Context(), linksKey{}, links)
}

func linksIn(ctx context.Context) []api.Link {
	links, _ := ctx.Value(linksKey{}).([]api.Link)
	return links
}

func TestSampler_CheckoutAlwaysOthersOneInTen(t *testing.T) {
	provider := trace.NewTracerProvider(trace.WithSampler(telemetry.NewSampler()))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	start(t, telemetry.Config{})
	share := func(parent context.Context, name string, kind api.SpanKind) (sampled int) {
		for range 1000 {
			if _, span := provider.Tracer("test").Start(parent, name, api.WithSpanKind(kind), api.WithLinks(linksIn(parent)...)); span.SpanContext().IsSampled() {
				sampled++
			}
		}
		return sampled
	}
	none, sampled, unsampled := t.Context(), remote(t, sampledParent), remote(t, unsampledParent)
	for _, tc := range []struct {
		what     string
		parent   context.Context
		name     string
		kind     api.SpanKind
		min, max int
	}{
		{"checkout", none, checkout, api.SpanKindServer, 1000, 1000},
		{"checkout of a caller that records nothing", unsampled, checkout, api.SpanKindServer, 1000, 1000},
		{"a client's span of that name", unsampled, checkout, api.SpanKindClient, 0, 0},
		{"catalogue", none, "spillway.v1.CatalogService/ListProducts", api.SpanKindServer, 40, 180}, // 6 standard deviations around 100
		{"worker", none, "relay", api.SpanKindInternal, 40, 180},
		{"child of a recorded span", sampled, "relay", api.SpanKindInternal, 1000, 1000},
		{"batch with a recorded order", linked(t, unsampledParent, sampledParent), "flush batch", api.SpanKindInternal, 1000, 1000},
		{"batch of unrecorded orders", linked(t, unsampledParent), "flush batch", api.SpanKindInternal, 40, 180},
		{"child of an unrecorded span", unsampled, "relay", api.SpanKindInternal, 0, 0},
	} {
		if n := share(tc.parent, tc.name, tc.kind); n < tc.min || n > tc.max {
			t.Errorf("%s: %d of 1000 are sampled; want %d to %d", tc.what, n, tc.min, tc.max)
		}
	}
}

// TestSampler_CallersDecideWithinABound: callers are strangers, and one who sets the flag in each call must not have each call recorded.
func TestSampler_CallersDecideWithinABound(t *testing.T) {
	start(t, telemetry.Config{})
	synctest.Test(t, func(t *testing.T) {
		provider := trace.NewTracerProvider(trace.WithSampler(telemetry.NewSampler()))
		defer func() { _ = provider.Shutdown(context.Background()) }()
		recorded := func(name string, kind api.SpanKind) (n int) {
			for range 1000 {
				if _, span := provider.Tracer("test").Start(remote(t, sampledParent), name, api.WithSpanKind(kind)); span.SpanContext().IsSampled() {
					n++
				}
			}
			return n
		}
		for range 3 {
			const list = "spillway.v1.CatalogService/ListProducts"
			if n := recorded(list, api.SpanKindServer); n != 100 {
				t.Errorf("%d of 1000 calls in one second are recorded; want 100", n)
			}
			if n := recorded(checkout, api.SpanKindServer); n != 1000 {
				t.Errorf("%d of 1000 checkouts are recorded; want each", n)
			}
			if n := recorded("ship", api.SpanKindInternal); n != 1000 {
				t.Errorf("%d of 1000 steps of recorded orders are recorded; want each", n)
			}
			<-time.After(time.Second)
		}
	})
}
