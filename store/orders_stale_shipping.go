package store

import (
	"context"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

// Staleness says when an order has waited for the carrier for too long.
type Staleness struct {
	// Paid is for how long an order may be PAID.
	Paid time.Duration
	// Failed are the pauses of SHIP_FAILED orders, growing with their age. The last one is for all that are older.
	Failed []RetryPause
}

// RetryPause is the pause between two attempts for an order that is at most so old.
type RetryPause struct{ Age, Pause time.Duration }

// StaleForShipping reads up to limit orders, with their items, that have waited for too long: PAID ones and SHIP_FAILED ones in turn, those that
// were touched longest ago first.
func (o *Orders) StaleForShipping(ctx context.Context, old Staleness, limit int) ([]order.Order, error) {
	now := time.Now()
	// Two queries, because one with OR would sort all candidates instead of reading the index in its order. Each gets its share of
	// the limit, so that a carrier that refuses some orders for ever does not hide the ones that it was never asked for.
	paid, err := o.query(ctx, "state = ? AND updated_at < ? ORDER BY updated_at LIMIT ?", order.Paid, micro(now.Add(-old.Paid)), max(1, limit/2))
	if err != nil || len(paid) >= limit {
		return paid, err
	}
	where, args := failedFor(old.Failed, now)
	args = append([]any{order.ShipFailed}, args...)
	failed, err := o.query(ctx, "state = ? AND "+where+" ORDER BY updated_at LIMIT ?", append(args, limit-len(paid))...)
	return append(paid, failed...), err
}

// failedFor is the condition that an order's pause is over.
func failedFor(pauses []RetryPause, now time.Time) (string, []any) {
	var parts []string
	var args []any
	shortest := now
	older := now
	for i, p := range pauses {
		touched := micro(now.Add(-p.Pause))
		if i == 0 {
			shortest = touched
		}
		part := "(created_at <= ? AND updated_at < ?"
		args = append(args, micro(older), touched)
		if i < len(pauses)-1 {
			older = now.Add(-p.Age)
			part += " AND created_at > ?"
			args = append(args, micro(older))
		}
		parts = append(parts, part+")")
	}
	// The first bound alone lets the index (state, updated_at) end the search.
	return "updated_at < ? AND (" + strings.Join(parts, " OR ") + ")", append([]any{shortest}, args...)
}
