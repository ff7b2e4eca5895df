package workers

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// RowWriter writes the rows of orders, idempotently: see store.Orders.Apply.
type RowWriter interface {
	Apply(ctx context.Context, changes []order.Event) (store.Outcome, error)
}

// writeAgain writes the rows of those of the flushed entries that are sent again because SQL lost commits. The order writer does so as well, unless the queue
// drops a message this time: then nothing else would have these orders, because the hot ones expire a minute after their rows were written first.
func (r *OrderRelay) writeAgain(ctx context.Context, epoch int64, entries []journal.Entry) error {
	if r.rows == nil || len(entries) == 0 {
		return nil
	}
	before, err := r.journal.SentBefore(ctx, epoch)
	if err != nil {
		return err
	}
	var changes []order.Event
	for _, e := range entries {
		if _, ofOrder := e.Kind.State(); !ofOrder || journal.CompareIDs(e.ID, before) > 0 {
			continue
		}
		if c, err := changeOf(e); err == nil { // The order writer makes the dead letter of another one.
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return r.writeRows(ctx, changes)
}

// writeRows writes the rows in one transaction. If SQL cannot take one, it writes each half by itself, and leaves that one to the order writer, which makes
// the dead letter.
func (r *OrderRelay) writeRows(ctx context.Context, changes []order.Event) error {
	_, err := r.rows.Apply(ctx, changes)
	switch {
	case err == nil:
		return nil
	case !store.IsRowError(err):
		return fmt.Errorf("write the rows of %d events again: %w", len(changes), err)
	case len(changes) == 1:
		return nil
	}
	half := len(changes) / 2
	if err := r.writeRows(ctx, changes[:half]); err != nil {
		return err
	}
	return r.writeRows(ctx, changes[half:])
}
