package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// InState reads up to limit orders behind the cursor that entered the state before the time, oldest first.
func (o *Orders) InState(ctx context.Context, state order.State, after Cursor, before time.Time, limit int) ([]Cursor, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]Cursor, error) {
		found, err := o.db.ent.Order.Query().Where(entorder.State(int8(state)), entorder.UpdatedAtLT(micro(before)), behind(after)).
			Order(entorder.ByUpdatedAt(), entorder.ByID()).Limit(limit).Select(entorder.FieldID, entorder.FieldUpdatedAt).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read orders that are %s: %w", state, err)
		}
		return convert(found, func(f *ent.Order) Cursor { return Cursor{At: f.UpdatedAt.UTC(), OrderID: order.ID(f.ID)} }), nil
	})
}

// behind selects the orders behind the cursor, in the order of their last change.
func behind(c Cursor) predicate.Order {
	at := micro(c.At)
	return entorder.And(entorder.UpdatedAtGTE(at), entorder.Or(entorder.UpdatedAtGT(at), entorder.IDGT(string(c.OrderID))))
}

// Duplicates returns those of the orders that were cancelled because their key belongs to another order.
func (o *Orders) Duplicates(ctx context.Context, ids []order.ID) ([]Duplicate, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) ([]Duplicate, error) {
		found, err := o.db.ent.Order.Query().Where(entorder.State(int8(order.Cancelled)), entorder.IDIn(texts(ids)...)).
			Select(entorder.FieldID, entorder.FieldCancelCode, entorder.FieldDuplicateOf, entorder.FieldDeclineCode, entorder.FieldCancelReason).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read duplicates: %w", err)
		}
		var out []Duplicate
		for _, f := range found {
			if r := toReason(f.CancelCode, f.DuplicateOf, f.DeclineCode, f.CancelReason); r.Code == order.CancelDuplicate {
				out = append(out, Duplicate{ID: order.ID(f.ID), Of: r.DuplicateOf})
			}
		}
		return out, nil
	})
}
