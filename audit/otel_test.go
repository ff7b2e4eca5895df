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
	seen := &gauges{values: map[string]int64{}}
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

// gauges is a meter provider that keeps the last value of spillway.audit.violations per rule.
type gauges struct {
	noop.MeterProvider
	values map[string]int64
}

func (g *gauges) Meter(string, ...metric.MeterOption) metric.Meter { return meter{gauges: g} }

type meter struct {
	noop.Meter
	gauges *gauges
}

func (m meter) Int64Gauge(name string, _ ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	if name != "spillway.audit.violations" {
		return noop.Int64Gauge{}, nil
	}
	return gauge{gauges: m.gauges}, nil
}

type gauge struct {
	noop.Int64Gauge
	gauges *gauges
}

func (g gauge) Record(_ context.Context, value int64, options ...metric.RecordOption) {
	attributes := metric.NewRecordConfig(options).Attributes()
	rule, _ := attributes.Value("rule")
	g.gauges.values[rule.AsString()] = value
}
