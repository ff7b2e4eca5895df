package workers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
)

// rowSources are the sources of dead letters of orders that SQL could not take, or that the order writer did not get.
var rowSources = []string{orderWriterSource, sourceBroker + "orders"}

// awaited returns the states of those of the orders that Redis has, and of which the rows are therefore still to be written. Orders of which
// an operator discarded the dead letter will never have one: it gives them up in Redis and omits them, so that they count as lost.
func (l *LostOrders) awaited(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	out := make(map[order.ID]order.State)
	for chunk := range slices.Chunk(ids, recoveryBatch) {
		states, err := l.hot.States(ctx, chunk)
		if err != nil {
			return nil, err
		}
		discarded, err := l.holds.Discarded(ctx, slices.Sorted(maps.Keys(states)), rowSources)
		if err != nil {
			return nil, err
		}
		if err := l.giveUp(ctx, discarded, states); err != nil {
			return nil, err
		}
		maps.DeleteFunc(states, func(id order.ID, _ order.State) bool { return slices.Contains(discarded, id) })
		maps.Copy(out, states)
	}
	return out, nil
}

// giveUp releases those of the orders that are PENDING in Redis, and sets the TTL of all. The units of a PAID one return with its
// cancellation, which checks first that SQL still has no row. It precedes the cancellation: after a crash in between the order is found
// again, discarded or not hot any more.
func (l *LostOrders) giveUp(ctx context.Context, ids []order.ID, states map[order.ID]order.State) error {
	reached := make(map[order.ID]order.State, len(ids))
	for _, id := range ids {
		reached[id] = states[id]
		if states[id] != order.Pending {
			continue
		}
		_, err := l.hot.Release(ctx, id, order.CancelledAs(order.CancelLost, "").Encode(), "")
		switch {
		case err == nil:
			reached[id] = order.Cancelled
		case errors.Is(err, order.ErrFailedPrecondition): // Settled just now.
			reached[id] = order.Paid
		case !errors.Is(err, order.ErrNotFound):
			return fmt.Errorf("release order %s, which has a discarded dead letter: %w", id, err)
		}
	}
	return l.hot.Expire(ctx, reached)
}
