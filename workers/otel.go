package workers

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const scope = "github.com/spillway/spillway/workers"

// The values of the attribute source of app.shipping.success.
const (
	ShippedNormally = "normal" // by the Shipper
	ShippedByRetry  = "retry"  // by the ShipRescuer
)

// Metrics measures what the workers of a process do, around the stores that they write to and their iterations.
type Metrics struct {
	flushed, shipped    metric.Int64Counter
	iterations, handled metric.Int64Counter
	batch               metric.Int64Histogram
	age                 metric.Float64Histogram
	now                 func() time.Time
}

// NewMetrics makes the instruments, of the global meter provider.
func NewMetrics() (*Metrics, error) {
	meter := otel.Meter(scope)
	m := &Metrics{now: time.Now}
	var errs [6]error
	m.flushed, errs[0] = meter.Int64Counter("repo.flush.success", metric.WithUnit("{flushes}"),
		metric.WithDescription("Ranges of the journal that the stock flusher committed to SQL."))
	m.shipped, errs[1] = meter.Int64Counter("app.shipping.success", metric.WithUnit("{orders}"),
		metric.WithDescription("Orders that became SHIPPED in SQL; source is normal for the shipper and retry for the ship rescuer."))
	m.iterations, errs[2] = meter.Int64Counter("spillway.worker.iterations", metric.WithUnit("{iterations}"),
		metric.WithDescription("Iterations of a worker that found something (result done) or failed (result failed)."))
	m.handled, errs[3] = meter.Int64Counter("spillway.worker.handled", metric.WithUnit("{items}"),
		metric.WithDescription("Entries, events, orders or mails that a worker handled."))
	m.batch, errs[4] = meter.Int64Histogram("spillway.batch.size", metric.WithUnit("{items}"),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
		metric.WithDescription("Items of one committed transaction: journal entries (batch flush), order events (write) or shipments (ship)."))
	m.age, errs[5] = meter.Float64Histogram("spillway.order.age", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
		metric.WithDescription("Time from an order's id to its row in SQL as PAID (at durable) or SHIPPED (at shipped)."))
	return m, errors.Join(errs[:]...)
}

var (
	batchFlush = batchOption("flush")
	batchWrite = batchOption("write")
	batchShip  = batchOption("ship")
	ageDurable = metric.WithAttributeSet(attribute.NewSet(attribute.String("at", "durable")))
	ageShipped = metric.WithAttributeSet(attribute.NewSet(attribute.String("at", "shipped")))
)

func batchOption(name string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("batch", name)))
}

// FlushStore returns s with its committed ranges measured.
func (m *Metrics) FlushStore(s FlushStore) FlushStore {
	return measuredFlushes{FlushStore: s, metrics: m}
}

type measuredFlushes struct {
	FlushStore
	metrics *Metrics
}

// FlushRange measures a committed range.
func (s measuredFlushes) FlushRange(ctx context.Context, r store.Range) (store.Outcome, error) {
	out, err := s.FlushStore.FlushRange(ctx, r)
	if err == nil {
		s.metrics.flushed.Add(ctx, 1)
		s.metrics.batch.Record(ctx, int64(r.Entries), batchFlush)
	}
	return out, err
}

// OrderStore returns s with its committed batches and the ages of paid orders measured.
func (m *Metrics) OrderStore(s OrderStore) OrderStore {
	return measuredWrites{OrderStore: s, metrics: m}
}

type measuredWrites struct {
	OrderStore
	metrics *Metrics
}

// Apply measures a committed batch. An event that is delivered again is measured again.
func (s measuredWrites) Apply(ctx context.Context, changes []order.Event) (store.Outcome, error) {
	out, err := s.OrderStore.Apply(ctx, changes)
	if err != nil {
		return out, err
	}
	s.metrics.batch.Record(ctx, int64(len(changes)), batchWrite)
	now := s.metrics.now()
	for i := range changes {
		if changes[i].To == order.Paid {
			s.metrics.age.Record(ctx, now.Sub(changes[i].Order.ID.Time()).Seconds(), ageDurable)
		}
	}
	return out, nil
}

// ShipStore returns s with its committed shipments measured, as those of the source.
func (m *Metrics) ShipStore(s ShipStore, source string) ShipStore {
	return measuredShipments{ShipStore: s, metrics: m, source: metric.WithAttributeSet(attribute.NewSet(attribute.String("source", source)))}
}

type measuredShipments struct {
	ShipStore
	metrics *Metrics
	source  metric.MeasurementOption
}

// RescueStore is ShipStore for the ShipRescuer.
func (m *Metrics) RescueStore(s RescueStore) RescueStore {
	return measuredRescues{RescueStore: s, measured: m.ShipStore(s, ShippedByRetry)}
}

type measuredRescues struct {
	RescueStore
	measured ShipStore
}

// Ship measures the shipments that were not refused.
func (s measuredRescues) Ship(ctx context.Context, shipments []order.Shipment) ([]order.ID, error) {
	return s.measured.Ship(ctx, shipments)
}

// Ship measures the shipments that were not refused.
func (s measuredShipments) Ship(ctx context.Context, shipments []order.Shipment) ([]order.ID, error) {
	refused, err := s.ShipStore.Ship(ctx, shipments)
	if err != nil || len(shipments) == 0 {
		return refused, err
	}
	s.metrics.batch.Record(ctx, int64(len(shipments)), batchShip)
	isRefused := make(map[order.ID]bool, len(refused))
	for _, id := range refused {
		isRefused[id] = true
	}
	now, shipped := s.metrics.now(), 0
	for _, sh := range shipments {
		if !isRefused[sh.OrderID] {
			shipped++
			s.metrics.age.Record(ctx, now.Sub(sh.OrderID.Time()).Seconds(), ageShipped)
		}
	}
	s.metrics.shipped.Add(ctx, int64(shipped), s.source)
	return refused, nil
}

type iterationKey struct{}

// Measured returns a context with which the loops of a worker count its iterations.
func (m *Metrics) Measured(ctx context.Context, worker string) context.Context {
	name := attribute.String("worker", worker)
	return context.WithValue(ctx, iterationKey{}, &iterationCounts{
		metrics: m, items: metric.WithAttributeSet(attribute.NewSet(name)),
		done:   metric.WithAttributeSet(attribute.NewSet(name, attribute.String("result", "done"))),
		failed: metric.WithAttributeSet(attribute.NewSet(name, attribute.String("result", "failed"))),
	})
}

type iterationCounts struct {
	metrics             *Metrics
	items, done, failed metric.MeasurementOption
}

// countIteration counts one iteration of the worker of ctx, if it is measured. Iterations that find nothing are not counted.
func countIteration(ctx context.Context, n int, err error) {
	c, ok := ctx.Value(iterationKey{}).(*iterationCounts)
	if !ok {
		return
	}
	if n > 0 {
		c.metrics.handled.Add(ctx, int64(n), c.items)
	}
	switch {
	case err != nil:
		c.metrics.iterations.Add(ctx, 1, c.failed)
	case n > 0:
		c.metrics.iterations.Add(ctx, 1, c.done)
	}
}
