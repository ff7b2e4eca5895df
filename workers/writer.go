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
)

// WriterConfig sets up an OrderWriter.
type WriterConfig struct {
	// Messages is how many messages one turn takes; each holds up to a relay's batch of events.
	Messages int
	// Rows is how many orders go into one transaction at most.
	Rows int
	// Lease is how long the messages stay this writer's own: several times what writing them takes.
	Lease time.Duration
}

// DefaultWriterConfig writes 100 rows a statement: twice as many are hardly cheaper each, and a bad one costs more.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{Messages: 8, Rows: 100, Lease: 30 * time.Second}
}

// OrderStore is what an OrderWriter needs of SQL.
type OrderStore interface {
	Apply(ctx context.Context, changes []order.Event) (store.Outcome, error)
}

// HotRecords lets the records of orders go that SQL holds, and takes back orders that SQL refused.
type HotRecords interface {
	Expire(ctx context.Context, states map[order.ID]order.State) error
}

// Canceller undoes an order that SQL refused: its stock and its money go back.
type Canceller interface {
	CancelDuplicate(ctx context.Context, id, of order.ID) error
}

// OrderWriter writes orders and their states to SQL. Its rows are written by the events' content alone, so events may
// come in any order and any number of times (I8).
type OrderWriter struct {
	cfg      WriterConfig
	consumer queue.Consumer
	orders   OrderStore
	hot      HotRecords
	cancel   Canceller
	reader   reader
	log      *slog.Logger
}

// NewOrderWriter makes a writer on the consumer of group "orders".
func NewOrderWriter(cfg WriterConfig, c queue.Consumer, orders OrderStore, dead DeadLetters, hot HotRecords, cancel Canceller, log *slog.Logger) *OrderWriter {
	return &OrderWriter{
		cfg: cfg, consumer: c, orders: orders, hot: hot, cancel: cancel,
		reader: reader{source: "order_writer", dead: dead}, log: log.With("worker", "order_writer"),
	}
}

// Run writes until ctx ends.
func (w *OrderWriter) Run(ctx context.Context) { loop(ctx, w.log, w.RunOnce) }

// RunOnce writes what one Receive brings and returns how many events that were. The messages are acknowledged when all
// of their events are committed, or put aside.
func (w *OrderWriter) RunOnce(ctx context.Context) (int, error) {
	messages, err := w.consumer.Receive(ctx, w.cfg.Messages, w.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
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

// apply commits the changes, or makes dead letters of those that SQL cannot take, and returns the others.
func (w *OrderWriter) apply(ctx context.Context, changes []order.Event) ([]order.Event, error) {
	aside := make(map[order.ID]bool)
	for chunk := range slices.Chunk(changes, w.cfg.Rows) {
		if err := w.write(ctx, chunk, aside); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(changes), func(c order.Event) bool { return aside[c.Order.ID] }), nil
}

// write applies the changes in one transaction, or one by one when a row of them is bad; it notes the orders that it put aside.
func (w *OrderWriter) write(ctx context.Context, changes []order.Event, aside map[order.ID]bool) error {
	out, err := w.orders.Apply(ctx, changes)
	if err == nil {
		return w.settle(ctx, out)
	}
	if !store.IsRowError(err) {
		return err
	}
	w.log.WarnContext(ctx, "a batch has a bad row; writing one by one", "error", err, "rows", len(changes))
	for _, c := range changes {
		if err := w.writeOne(ctx, c, aside); err != nil {
			return err
		}
	}
	return nil
}

func (w *OrderWriter) writeOne(ctx context.Context, c order.Event, aside map[order.ID]bool) error {
	out, err := w.orders.Apply(ctx, []order.Event{c})
	switch {
	case err == nil:
		return w.settle(ctx, out)
	case !store.IsRowError(err):
		return err
	}
	aside[c.Order.ID] = true
	w.log.ErrorContext(ctx, "SQL cannot take an order; it is in failed_orders", "order", c.Order.ID, "error", err)
	return w.reader.deadLetterChange(ctx, fmt.Sprintf("order/%s/%s", c.Order.ID, c.To), c, 1, err)
}

// settle undoes what SQL refused because the key belongs to another order. It comes before the acknowledgement: after
// a crash the message comes again, and so does the refusal.
func (w *OrderWriter) settle(ctx context.Context, out store.Outcome) error {
	var errs []error
	for _, d := range out.Duplicates {
		w.log.WarnContext(ctx, "an idempotency key came again after its marker was gone; the second order is cancelled", "order", d.ID, "of", d.Of)
		errs = append(errs, w.cancel.CancelDuplicate(ctx, d.ID, d.Of))
	}
	for _, r := range out.Refused {
		w.log.WarnContext(ctx, "a state was refused", "order", r.ID, "from", r.From, "to", r.To)
	}
	return errors.Join(errs...)
}

// expire is best effort: a record without TTL costs memory until the order repairer sets it.
func (w *OrderWriter) expire(ctx context.Context, changes []order.Event) {
	states := reached(changes)
	if err := w.hot.Expire(ctx, states); err != nil {
		w.log.WarnContext(ctx, "failed to set the TTL of hot orders; the order repairer sets it", "orders", len(states), "error", err)
	}
}

// reached are the last states that the changes bring their orders to.
func reached(changes []order.Event) map[order.ID]order.State {
	states := make(map[order.ID]order.State, len(changes))
	for _, c := range changes {
		if s, ok := states[c.Order.ID]; !ok || c.To.Follows(s) {
			states[c.Order.ID] = c.To
		}
	}
	return states
}
