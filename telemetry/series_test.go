package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/telemetry"
)

// record makes instruments of each kind and records values; the gauge observes whether it was read locally.
func record(t *testing.T) {
	t.Helper()
	meter, ctx := otel.Meter("test"), t.Context()
	count, err1 := meter.Int64Counter("things")
	size, err2 := meter.Int64Histogram("sizes")
	age, err3 := meter.Float64Histogram("ages")
	calls, err4 := meter.Float64Histogram("rpc.server.call.duration")
	_, err5 := meter.Int64ObservableGauge("local", metric.WithInt64Callback(func(ctx context.Context, o metric.Int64Observer) error {
		if telemetry.IsLocal(ctx) {
			o.Observe(1)
		}
		return nil
	}))
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	count.Add(ctx, 3, metric.WithAttributes(attribute.String("kind", "a")))
	count.Add(ctx, 4, metric.WithAttributes(attribute.String("kind", "b")))
	size.Record(ctx, 10)
	size.Record(ctx, 20)
	age.Record(ctx, 0.5)
	calls.Record(ctx, 1)
}

// wantSeries checks the value and the count of a series.
func wantSeries(t *testing.T, series []telemetry.Series, name, kind string, value float64, count uint64) {
	t.Helper()
	for _, s := range series {
		if s.Name == name && s.Attribute("kind") == kind {
			if s.Value != value || s.Count != count {
				t.Errorf("%s %s is %v, %d; want %v, %d", name, kind, s.Value, s.Count, value, count)
			}
			return
		}
	}
	t.Errorf("there is no series %s %s", name, kind)
}

func hasSeries(series []telemetry.Series, name string) bool {
	for _, s := range series {
		if s.Name == name {
			return true
		}
	}
	return false
}

func TestSeries_ReadsTheProcess(t *testing.T) {
	for name, scraped := range map[string]bool{"read alone": false, "scraped too": true} {
		t.Run(name, func(t *testing.T) {
			tel := start(t, telemetry.Config{Read: true, Scraped: scraped})
			record(t)
			series, err := tel.Series(telemetry.Locally(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			wantSeries(t, series, "things", "a", 3, 0)
			wantSeries(t, series, "things", "b", 4, 0)
			wantSeries(t, series, "sizes", "", 30, 2)
			wantSeries(t, series, "ages", "", 0.5, 1)
			wantSeries(t, series, "local", "", 1, 0)
			// The calls of each RPC are measured only for those that export or scrape them.
			if hasSeries(series, "rpc.server.call.duration") != scraped {
				t.Error("whether RPCs are measured does not depend on who reads that")
			}
			if series, err = tel.Series(t.Context()); err != nil || hasSeries(series, "local") {
				t.Errorf("a reading with dependencies is local: %v", err)
			}
			w := httptest.NewRecorder()
			tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
			if served := w.Code == http.StatusOK; served != scraped {
				t.Errorf("/metrics: status %d", w.Code)
			}
		})
	}
}

func TestSeries_NotKept(t *testing.T) {
	tel := start(t, telemetry.Config{})
	record(t)
	if series, err := tel.Series(t.Context()); err != nil || len(series) > 0 {
		t.Errorf("%v, %v", series, err)
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if series, err := start(t, telemetry.Config{Read: true}).Series(t.Context()); err != nil || len(series) > 0 {
		t.Errorf("disabled: %v, %v", series, err)
	}
}
