package store

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// StalePending reads up to limit orders that have been PENDING since before the time, oldest first; of those that are to be paid later
// only the ones that have expired at now.
func (o *Orders) StalePending(ctx context.Context, before, now time.Time, limit int) ([]order.Order, error) {
	return o.query(ctx, "state = ? AND updated_at < ? AND (expires_at IS NULL OR expires_at <= ?) ORDER BY updated_at LIMIT ?",
		order.Pending, micro(before), micro(now), limit)
}

// ChargePlace is the place of a charge among all of them, by when its line was written.
type ChargePlace struct {
	CreatedAt time.Time
	OrderID   order.ID
}

// Voided are up to limit voided charges behind the place, whose lines were written before the time, in that order.
func (o *Orders) Voided(ctx context.Context, after ChargePlace, before time.Time, limit int) ([]ChargePlace, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]ChargePlace, error) {
		return collect(ctx, o.db.sql, "voided charges", func(r scanner) (p ChargePlace, err error) {
			err = r.Scan(&p.CreatedAt, &p.OrderID)
			return p, err
		}, "SELECT created_at, order_id FROM charges WHERE state = ? AND created_at >= ? AND created_at < ? AND (created_at > ? OR order_id > ?) "+
			"ORDER BY created_at, order_id LIMIT ?", ChargeVoided, micro(after.CreatedAt), micro(before), micro(after.CreatedAt), after.OrderID, limit)
	})
}

// OpenCharges are up to limit orders that were cancelled between the times, and may have cost money that is not on its way back: their charge
// succeeded, or nobody knows its outcome, or the ledger has no line of it. The last happens when the ledger was away while the provider
// took the money: the order was PENDING then, and its cancellation could not leave a tombstone either.
func (o *Orders) OpenCharges(ctx context.Context, from, to time.Time, limit int) ([]order.ID, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.ID, error) {
		return collect(ctx, o.db.sql, "charges of cancelled orders", scanValue[order.ID],
			"SELECT o.id FROM orders o LEFT JOIN charges c ON c.order_id = o.id LEFT JOIN order_cancellations x ON x.order_id = o.id "+
				"WHERE o.state = ? AND o.updated_at >= ? AND o.updated_at < ? AND (c.order_id IS NULL OR c.state IN (?, ?)) AND x.order_id IS NULL "+
				"ORDER BY o.updated_at LIMIT ?",
			order.Cancelled, micro(from), micro(to), ChargeSucceeded, ChargePending, limit)
	})
}
