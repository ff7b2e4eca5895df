package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent/charge"
	"github.com/spillway/spillway/ent/deadletter"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// LostCharges are up to limit charges that took money between the times, or may have taken it, for orders that nothing in SQL knows, oldest first.
func (c *Charges) LostCharges(ctx context.Context, from, to time.Time, limit int) ([]order.Charge, error) {
	return c.withoutOrder(ctx, limit, charge.StateIn(int8(order.ChargeSucceeded), int8(order.ChargePending)),
		charge.CreatedAtGTE(micro(from)), charge.CreatedAtLT(micro(to)),
		charge.Not(func(s *entsql.Selector) {
			exists(s, ordercancellation.Table, ordercancellation.FieldID, charge.FieldID)
		}),
		charge.Not(func(s *entsql.Selector) {
			exists(s, deadletter.Table, deadletter.FieldOrderID, charge.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
				return entsql.EQ(t.C(deadletter.FieldStatus), DeadLetterOpen)
			})
		}))
}

// Orphans are charges that took money for orders that SQL does not have, although they are old enough to be there: Redis lost
// the order with its data. Their money is to be refunded.
func (c *Charges) Orphans(ctx context.Context, olderThan time.Time, limit int) ([]order.Charge, error) {
	return c.withoutOrder(ctx, limit, charge.State(int8(order.ChargeSucceeded)), charge.CreatedAtLT(micro(olderThan)))
}

// withoutOrder reads charges of orders that have no row, oldest first.
func (c *Charges) withoutOrder(ctx context.Context, limit int, where ...predicate.Charge) ([]order.Charge, error) {
	where = append(where, charge.Not(func(s *entsql.Selector) { exists(s, entorder.Table, entorder.FieldID, charge.FieldID) }))
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Charge, error) {
		found, err := c.db.ent.Charge.Query().Where(where...).Order(charge.ByCreatedAt()).Limit(limit).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read charges without orders: %w", err)
		}
		return convert(found, toCharge), nil
	})
}

// OpenCharges are up to limit orders that were cancelled between the times, and may have cost money that is not on its way back: their charge
// succeeded, or its outcome is unknown, or the ledger has no line of it. The last happens when the ledger was away while the provider
// took the money: the order was PENDING then, and its cancellation could not leave a tombstone either.
func (o *Orders) OpenCharges(ctx context.Context, from, to time.Time, limit int) ([]order.ID, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := o.db.ent.Order.Query().Where(
			entorder.State(int8(order.Cancelled)), entorder.UpdatedAtGTE(micro(from)), entorder.UpdatedAtLT(micro(to)),
			entorder.Or(entorder.Not(hasCharge()), hasCharge(order.ChargeSucceeded, order.ChargePending)),
			entorder.Not(func(s *entsql.Selector) {
				exists(s, ordercancellation.Table, ordercancellation.FieldID, entorder.FieldID)
			}),
		).Order(entorder.ByUpdatedAt()).Limit(limit).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read charges of cancelled orders: %w", err)
		}
		return named[order.ID](found), nil
	})
}

// Uncharged returns those of the orders that have no line in the ledger.
func (o *Orders) Uncharged(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := o.db.ent.Charge.Query().Where(charge.IDIn(texts(ids)...)).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read charges of %d orders: %w", len(ids), err)
		}
		charged := make(map[order.ID]bool, len(found))
		for _, id := range found {
			charged[order.ID(id)] = true
		}
		return slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return charged[id] }), nil
	})
}

// hasCharge selects the orders with a charge in one of the states, or in any when none is given.
func hasCharge(states ...order.ChargeState) predicate.Order {
	return func(s *entsql.Selector) {
		if len(states) == 0 {
			exists(s, charge.Table, charge.FieldID, entorder.FieldID)
			return
		}
		exists(s, charge.Table, charge.FieldID, entorder.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
			return entsql.In(t.C(charge.FieldState), anys(states)...)
		})
	}
}
