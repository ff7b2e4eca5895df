package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
)

// WriterConfig sets up an OrderWriter.
type WriterConfig struct {
	// Messages is how many messages one iteration takes; each holds up to a relay's batch of events.
	Messages int
	// Rows is how many orders go into one transaction at most.
	Rows int
	// Lease is how long the messages are leased: several times as long as writing them takes.
	Lease time.Duration
}

// DefaultWriterConfig writes 400 rows a transaction, so that its five statements and its commit are 0.015 an order. Their INSERT has about
// 250 kB, of the 64 MiB that MySQL and its driver take, and locks the rows for some 50 ms. With 1,000 rows an order was not cheaper. A bad row
// costs at most 18 transactions more.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{Messages: 8, Rows: 400, Lease: 30 * time.Second}
}

// OrderStore applies changes to the orders' rows, all in one transaction.
type OrderStore interface {
	Apply(ctx context.Context, changes []order.Event) (store.Outcome, error)
}

// HotOrders sets the TTL of hot orders that SQL has in the same state.
type HotOrders interface {
	Expire(ctx context.Context, states map[order.ID]order.State) error
}

// Canceller cancels an order with the idempotency key of another order: it returns the units, and voids or refunds the charge.
type Canceller interface {
	CancelDuplicate(ctx context.Context, id, of order.ID) error
}

// OrderWriter writes orders and their states to SQL, WriterConfig.Rows a transaction. The rows depend on the content of the events alone,
// so that events may arrive in any order and any number of times (I8). A row that SQL cannot take becomes a dead letter; after any other
// failure the messages are delivered again. Several writers may run.
type OrderWriter struct {
	cfg      WriterConfig
	consumer *leases
	orders   OrderStore
	hot      HotOrders
	cancel   Canceller
	reader   reader
	log      *slog.Logger
	pace     Pace
}

// orderWriterSource is the source of the order writer's dead letters.
const orderWriterSource = "order_writer"

// NewOrderWriter makes a writer on the consumer of group "orders".
func NewOrderWriter(cfg WriterConfig, c queue.Consumer, orders OrderStore, dead DeadLetters, hot HotOrders, cancel Canceller, log *slog.Logger) *OrderWriter {
	return &OrderWriter{
		cfg: cfg, consumer: &leases{Consumer: c}, orders: orders, hot: hot, cancel: cancel,
		reader: reader{source: orderWriterSource, dead: dead}, log: log.With("worker", "order_writer"),
	}
}

// WithPace sets when iterations begin. It is called before Run.
func (w *OrderWriter) WithPace(p Pace) *OrderWriter {
	w.pace = p
	return w
}

// Run writes until ctx ends. It releases the messages that it did not write then.
func (w *OrderWriter) Run(ctx context.Context) {
	defer w.consumer.releaseHeld(ctx, w.log)
	loop(ctx, w.log, w.pace.paced(w.cfg.Rows, w.RunOnce))
}

// Rest is RunOnce for a process that ends together with its queue: it receives also what earlier iterations failed to write and still lease.
func (w *OrderWriter) Rest(ctx context.Context) (int, error) {
	w.consumer.releaseHeld(ctx, w.log)
	return w.RunOnce(ctx)
}

// RunOnce writes the events of one Receive and returns their number. It acknowledges the messages when each of their events is committed
// or a dead letter.
func (w *OrderWriter) RunOnce(ctx context.Context) (n int, err error) {
	messages, err := w.consumer.Receive(ctx, w.cfg.Messages, w.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	ctx, span := queue.Process(ctx, messages)
	defer func() { tracing.End(span, err) }()
	changes, err := w.reader.read(ctx, messages)
	if err != nil {
		return 0, err
	}
	written, err := w.apply(ctx, changes)
	if err != nil {
		return 0, err
	}
	if err := w.consumer.Ack(ctx, messages...); err != nil {
		return 0, fmt.Errorf("acknowledge: %w", err)
	}
	w.expire(ctx, written)
	return len(changes), nil
}

// apply commits the changes, makes dead letters of those that SQL cannot take, and returns the committed ones.
func (w *OrderWriter) apply(ctx context.Context, changes []order.Event) ([]order.Event, error) {
	dead := make(map[order.ID]bool)
	for chunk := range slices.Chunk(changes, w.cfg.Rows) {
		if err := w.writeBatch(ctx, chunk, dead); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(changes), func(c order.Event) bool { return dead[c.Order.ID] }), nil
}

// writeBatch is write with its spans.
func (w *OrderWriter) writeBatch(ctx context.Context, changes []order.Event, dead map[order.ID]bool) error {
	began, links := time.Now(), linksOf(changes, traceOfEvent)
	ctx, span := tracing.StartBatch(ctx, scope, spanWriteBatch, len(changes), links)
	err := w.write(ctx, changes, dead)
	if err == nil && links.Any() {
		tracing.RecordSteps(ctx, scope, spanWrite, began, eventSteps(changes, dead))
	}
	tracing.End(span, err)
	return err
}

// write applies the changes, in one transaction unless SQL cannot take a row. It adds the orders of dead letters to dead.
func (w *OrderWriter) write(ctx context.Context, changes []order.Event, dead map[order.ID]bool) error {
	return rowHalves{
		orders:  w.orders,
		applied: func(out store.Outcome) error { return w.cancelDuplicates(ctx, out) },
		bad:     func(c order.Event, reason error) error { return w.deadLetter(ctx, c, reason, dead) },
		log:     w.log,
	}.write(ctx, changes)
}

func (w *OrderWriter) deadLetter(ctx context.Context, c order.Event, reason error, dead map[order.ID]bool) error {
	dead[c.Order.ID] = true
	w.log.ErrorContext(ctx, "SQL cannot take an order; it is in failed_orders", "order_id", c.Order.ID, "error", reason)
	return w.reader.deadLetterChange(ctx, fmt.Sprintf("order/%s/%s", c.Order.ID, c.To), c, 1, reason)
}

// cancelDuplicates cancels the orders that SQL refused because their idempotency key belongs to another order. It runs before the
// acknowledgement: after a crash the message is delivered again, and SQL refuses the order again.
func (w *OrderWriter) cancelDuplicates(ctx context.Context, out store.Outcome) error {
	var errs []error
	for _, d := range out.Duplicates {
		w.log.WarnContext(ctx, "idempotency key was used again without its record in Redis; cancelling the second order", "order_id", d.ID, "of", d.Of)
		errs = append(errs, w.cancel.CancelDuplicate(ctx, d.ID, d.Of))
	}
	for _, r := range out.Refused {
		w.log.WarnContext(ctx, "state refused", "order_id", r.ID, "from", r.From, "to", r.To)
	}
	return errors.Join(errs...)
}

// expire sets the TTLs of hot orders. It is best effort: a hot order without TTL costs memory until the order repairer sets it.
func (w *OrderWriter) expire(ctx context.Context, changes []order.Event) {
	states := reached(changes)
	if err := w.hot.Expire(ctx, states); err != nil {
		w.log.WarnContext(ctx, "failed to set the TTL of hot orders; the order repairer sets it", "orders", len(states), "error", err)
	}
}

// reached returns the last state that the changes bring each order to.
func reached(changes []order.Event) map[order.ID]order.State {
	states := make(map[order.ID]order.State, len(changes))
	for _, c := range changes {
		if s, ok := states[c.Order.ID]; !ok || c.To.Follows(s) {
			states[c.Order.ID] = c.To
		}
	}
	return states
}
