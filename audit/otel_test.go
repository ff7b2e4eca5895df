package audit_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/spillway/spillway/audit"
)

// TestMeasure_ViolationsPerRule checks that each run records the violations of each rule, 0 where there are none.
func TestMeasure_ViolationsPerRule(t *testing.T) {
	seen := &fakeMeterProvider{values: map[string]int64{}}
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(seen)
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	onBoth(t, func(t *testing.T, w *fixture) {
		w.populate()
		w.exec("DELETE FROM shipments")
		w.audit(w.external().options(true))
		if len(seen.values) != len(audit.Rules()) || seen.values["shipped_has_shipment"] != 1 || seen.values["stock_adds_up"] != 0 {
			t.Errorf("measured %v", seen.values)
		}
	})
}

// fakeMeterProvider is a meter provider that keeps the last value of spillway.audit.violations per rule.
type fakeMeterProvider struct {
	noop.MeterProvider
	values map[string]int64
}

func (g *fakeMeterProvider) Meter(string, ...metric.MeterOption) metric.Meter {
	return fakeMeter{gauges: g}
}

type fakeMeter struct {
	noop.Meter
	gauges *fakeMeterProvider
}

func (m fakeMeter) Int64Gauge(name string, _ ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	if name != "spillway.audit.violations" {
		return noop.Int64Gauge{}, nil
	}
	return fakeGauge{gauges: m.gauges}, nil
}

type fakeGauge struct {
	noop.Int64Gauge
	gauges *fakeMeterProvider
}

func (g fakeGauge) Record(_ context.Context, value int64, options ...metric.RecordOption) {
	attributes := metric.NewRecordConfig(options).Attributes()
	rule, _ := attributes.Value("rule")
	g.gauges.values[rule.AsString()] = value
}
