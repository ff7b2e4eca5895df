package store

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// Place is where a look at rows that are in order of time has come to.
type Place struct {
	At      time.Time
	OrderID order.ID
}

// StalePending reads up to limit orders behind the place that have been PENDING since before the time, oldest change first; of those that
// are to be paid later only the ones that have expired at now.
func (o *Orders) StalePending(ctx context.Context, after Place, before, now time.Time, limit int) ([]order.Order, error) {
	return o.query(ctx, "state = ? AND updated_at >= ? AND updated_at < ? AND (updated_at > ? OR id > ?) AND (expires_at IS NULL OR expires_at <= ?) "+
		"ORDER BY updated_at, id LIMIT ?",
		order.Pending, micro(after.At), micro(before), micro(after.At), after.OrderID, micro(now), limit)
}

// OpenCharges are up to limit orders that were cancelled between the times, and may have cost money that is not on its way back: their charge
// succeeded, or nobody knows its outcome, or the ledger has no line of it. The last happens when the ledger was away while the provider
// took the money: the order was PENDING then, and its cancellation could not leave a tombstone either.
func (o *Orders) OpenCharges(ctx context.Context, from, to time.Time, limit int) ([]order.ID, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.ID, error) {
		return collect(ctx, o.db.ent, "charges of cancelled orders", scanValue[order.ID],
			"SELECT o.id FROM orders o LEFT JOIN charges c ON c.order_id = o.id LEFT JOIN order_cancellations x ON x.order_id = o.id "+
				"WHERE o.state = ? AND o.updated_at >= ? AND o.updated_at < ? AND (c.order_id IS NULL OR c.state IN (?, ?)) AND x.order_id IS NULL "+
				"ORDER BY o.updated_at LIMIT ?",
			order.Cancelled, micro(from), micro(to), order.ChargeSucceeded, order.ChargePending, limit)
	})
}
