package workers

import (
	"context"
	"log/slog"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// rowHalves writes batches of rows of which SQL may not take some.
type rowHalves struct {
	orders OrderStore
	// applied is called with the outcome of each commit, and bad with each row that SQL cannot take. An error of them ends the batch.
	applied func(store.Outcome) error
	bad     func(order.Event, error) error
	log     *slog.Logger
}

// write applies the changes in one transaction. If SQL cannot take a row, it writes each half by itself, down to the bad row, so that a bad
// row costs two transactions for each halving and not one for each row. It ends at any other error.
func (h rowHalves) write(ctx context.Context, changes []order.Event) error {
	out, err := h.orders.Apply(ctx, changes)
	switch {
	case err == nil:
		return h.applied(out)
	case !store.IsRowError(err):
		return err
	case len(changes) == 1:
		return h.bad(changes[0], err)
	}
	h.log.WarnContext(ctx, "batch has a bad row, writing each half by itself", "error", err, "rows", len(changes))
	half := len(changes) / 2
	if err := h.write(ctx, changes[:half]); err != nil {
		return err
	}
	return h.write(ctx, changes[half:])
}
