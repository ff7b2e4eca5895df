package store

import (
	"context"
	"time"

	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// Staleness is for how long an order may wait for the carrier.
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
	// the limit, so that a carrier that refuses some orders for ever does not hide the ones that were never offered to it.
	q := o.db.ent.Order.Query
	paid, err := o.read(ctx, q().Where(entorder.State(int8(order.Paid)), entorder.UpdatedAtLT(micro(now.Add(-old.Paid)))).
		Order(entorder.ByUpdatedAt()).Limit(max(1, limit/2)))
	if err != nil || len(paid) >= limit {
		return paid, err
	}
	failed, err := o.read(ctx, q().Where(entorder.State(int8(order.ShipFailed)), pauseIsOver(old.Failed, now)).
		Order(entorder.ByUpdatedAt()).Limit(limit-len(paid)))
	return append(paid, failed...), err
}

// pauseIsOver selects the orders that are due for the next attempt.
func pauseIsOver(pauses []RetryPause, now time.Time) predicate.Order {
	var ages []predicate.Order
	shortest, older := now, now
	for i, p := range pauses {
		touched := micro(now.Add(-p.Pause))
		if i == 0 {
			shortest = touched
		}
		age := []predicate.Order{entorder.CreatedAtLTE(micro(older)), entorder.UpdatedAtLT(touched)}
		if i < len(pauses)-1 {
			older = now.Add(-p.Age)
			age = append(age, entorder.CreatedAtGT(micro(older)))
		}
		ages = append(ages, entorder.And(age...))
	}
	// The first bound alone lets the index (state, updated_at) end the search.
	return entorder.And(entorder.UpdatedAtLT(shortest), entorder.Or(ages...))
}
