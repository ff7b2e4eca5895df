package workers

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

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
	err = rowHalves{
		orders:  r.rows,
		applied: func(store.Outcome) error { return nil },
		bad:     func(order.Event, error) error { return nil }, // The order writer makes its dead letter.
		log:     r.log,
	}.write(ctx, changes)
	if err != nil {
		return fmt.Errorf("write the rows of %d events again: %w", len(changes), err)
	}
	return nil
}
