package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/spillway/spillway/telemetry"
)

var discardLog = slog.New(slog.DiscardHandler)

// fakeMetrics are the metrics of a process.
type fakeMetrics struct {
	series []telemetry.Series
	err    error
	remote bool // they were read with dependencies
}

func (m *fakeMetrics) read(ctx context.Context) ([]telemetry.Series, error) {
	m.remote = m.remote || !telemetry.IsLocal(ctx)
	return m.series, m.err
}

// set replaces a series of the name and the attributes, which are keys and values.
func (m *fakeMetrics) set(name string, value float64, count uint64, attributes ...string) {
	var kv []attribute.KeyValue
	for i := 0; i < len(attributes); i += 2 {
		kv = append(kv, attribute.String(attributes[i], attributes[i+1]))
	}
	s := telemetry.Series{Name: name, Attributes: attribute.NewSet(kv...), Value: value, Count: count}
	for i, old := range m.series {
		if old.Name == name && old.Attributes.Equals(&s.Attributes) {
			m.series[i] = s
			return
		}
	}
	m.series = append(m.series, s)
}

// newTestRecorder makes a recorder of all stages with a clock that the test sets.
func newTestRecorder(m *fakeMetrics) (r *Recorder, clock *time.Time) {
	now := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	r = NewRecorder(RecorderConfig{
		Role: "all", Stages: Stages(), Series: m.read, Log: discardLog,
		Breakers: func() map[string]string { return map[string]string{"redis": "closed"} },
	})
	r.now = func() time.Time { return now }
	return r, &now
}

func TestRecorder_RatesAreMeansOverTheWindow(t *testing.T) {
	m := &fakeMetrics{}
	r, clock := newTestRecorder(m)
	second := func(n int) {
		m.set("spillway.worker.handled", float64(100*n), 0, "worker", "stock-flusher")
		m.set("spillway.worker.handled", float64(50*n), 0, "worker", "order-relay")
		m.set("spillway.worker.iterations", float64(5*n), 0, "worker", "order-relay", "result", "done")
		m.set("spillway.worker.iterations", float64(2*n), 0, "worker", "order-relay", "result", "failed")
		m.set("spillway.batch.size", float64(100*n), uint64(4*n), "batch", "flush")
		m.set("spillway.order.age", 3*float64(n), uint64(2*n), "at", "shipped")
		m.set("spillway.checkout.results", float64(40*n), 0, "result", "accepted")
		m.set("spillway.checkout.results", float64(10*n), 0, "result", "pending")
		m.set("spillway.checkout.results", float64(3*n), 0, "result", "replayed")
		m.set("spillway.checkout.results", float64(20*n), 0, "result", "SOLD_OUT")
		m.set("spillway.checkout.results", float64(7*n), 0, "result", "UNAVAILABLE")
		m.set("spillway.checkout.steps", float64(30*n), 0, "step", "charge", "result", "done")
		m.set("spillway.checkout.steps", float64(6*n), 0, "step", "charge", "result", "refused")
		m.set("spillway.checkout.steps", float64(n), 0, "step", "charge", "result", "failed")
		m.set("spillway.checkout.active", 9, 0, "step", "charge")
		r.record(t.Context())
		*clock = clock.Add(time.Second)
	}
	second(1)
	if f := r.Latest().Stages[Flush]; f.Total != 100 || f.PerSecond != 0 {
		t.Errorf("after one reading: %+v", f)
	}
	for n := 2; n <= 20; n++ {
		second(n)
	}
	if len(r.readings) > int(Window/Interval)+1 {
		t.Errorf("%d readings are kept", len(r.readings))
	}
	got := r.Latest()
	flush, relay, charge, accept, ship := got.Stages[Flush], got.Stages[Relay], got.Stages[Charge], got.Stages[Accept], got.Stages[Ship]
	for name, v := range map[string][2]float64{
		"flushed": {flush.PerSecond, 100}, "flushed in all": {float64(flush.Total), 2000}, "size of a flush": {flush.BatchItems / flush.Batches, 25},
		"relayed": {relay.PerSecond, 50}, "failed relays": {relay.FailuresPerSecond, 2}, "size of a message": {relay.BatchItems / relay.Batches, 10},
		"charged": {charge.PerSecond, 30}, "failed charges": {charge.FailuresPerSecond, 1}, "declined": {charge.Outcomes["refused"], 6},
		"charges in progress": {float64(*charge.Active), 9}, "accepted": {accept.PerSecond, 50}, "failed": {accept.FailuresPerSecond, 7},
		"sold out": {accept.Outcomes["SOLD_OUT"], 20}, "replayed": {accept.Outcomes["replayed"], 3}, "age of shipped": {ship.AgeSeconds / ship.Ages, 1.5},
	} {
		if math.Abs(v[0]-v[1]) > 1e-9 {
			t.Errorf("%s: %v; want %v", name, v[0], v[1])
		}
	}
	// Nothing happens any more.
	for range 6 {
		r.record(t.Context())
		*clock = clock.Add(time.Second)
	}
	if f := r.Latest().Stages[Accept]; f.PerSecond != 0 || len(f.Outcomes) != 0 || f.Total != 1000 {
		t.Errorf("when nothing happens: %+v", f)
	}
	if m.remote {
		t.Error("a reading of a process queries its dependencies")
	}
}

func TestRecorder_StagesAreThoseOfTheProcess(t *testing.T) {
	for _, tc := range []struct {
		workers []string
		serves  bool
		want    int
	}{{nil, true, 4}, {[]string{"stock-flusher"}, true, 5}, {[]string{"order-relay", "mailer"}, false, 2}, {nil, false, 0}} {
		if got := StagesOf(tc.workers, tc.serves); len(got) != tc.want {
			t.Errorf("%v, %t: %v", tc.workers, tc.serves, got)
		}
	}
}

func TestRecorder_NewestAudit(t *testing.T) {
	m := &fakeMetrics{}
	r, _ := newTestRecorder(m)
	r.record(t.Context())
	if a := r.Latest().Audit; a != nil {
		t.Errorf("without one: %+v", a)
	}
	at := time.Date(2026, 1, 31, 7, 59, 0, 0, time.UTC)
	m.set("spillway.audit.read_time", float64(at.Unix()), 0)
	m.set("spillway.audit.violations", 2, 0, "rule", "stock_adds_up")
	m.set("spillway.audit.violations", 1, 0, "rule", "charge_is_total")
	m.set("spillway.audit.violations", 0, 0, "rule", "paid_is_charged_once")
	r.record(t.Context())
	if a := r.Latest().Audit; a == nil || !a.At.Equal(at) || a.Violations != 3 || len(a.Rules) != 2 || a.Rules[0] != "charge_is_total" {
		t.Errorf("got %+v", a)
	}
}

// TestRecorder_UnreadableMetrics keeps the last report.
func TestRecorder_UnreadableMetrics(t *testing.T) {
	m := &fakeMetrics{}
	r, _ := newTestRecorder(m)
	m.set("spillway.worker.handled", 5, 0, "worker", "mailer")
	r.record(t.Context())
	m.err = errors.New("shut down")
	r.record(t.Context())
	if f := r.Latest().Stages[Confirm]; f.Total != 5 {
		t.Errorf("got %+v", f)
	}
}
