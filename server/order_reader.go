package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// OrderCache are the orders that Redis remembers.
type OrderCache interface {
	HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
}

// OrderRows are the orders in SQL.
type OrderRows interface {
	Get(ctx context.Context, id order.ID) (order.Order, error)
	ListByCustomer(ctx context.Context, customer order.CustomerID, opt store.ListOptions) ([]order.Order, error)
}

// OrderReader reads orders as their customers see them: what was just placed from Redis, before its row exists (I15). While an
// order is pending Redis decides, from then on SQL does, so of two states the one that follows the other counts.
type OrderReader struct {
	Hot  OrderCache
	Rows OrderRows
	// Claims are read for orders of guests that have no row yet; nil are none.
	Claims ClaimReader
	Log    *slog.Logger
}

// orderNotFound is the error of an order that does not exist, or is another customer's.
func orderNotFound(id string) error {
	return order.Refuse(order.ErrNotFound, order.ReasonOrderNotFound, "there is no order %q among yours", id).With(metaOrderID, id)
}

// Read returns an order that the caller may see; every other one is order.ErrNotFound, whether it exists or not (I14). An order that a customer has claimed is the
// customer's; its guest may see it until it has a row.
func (r OrderReader) Read(ctx context.Context, id string) (order.Order, error) {
	parsed, err := order.ParseID(id)
	if err != nil {
		return order.Order{}, orderNotFound(id)
	}
	o, err := r.latest(ctx, parsed)
	if errors.Is(err, order.ErrNotFound) {
		return order.Order{}, orderNotFound(id)
	}
	if err != nil {
		return order.Order{}, err
	}
	caller, ok := auth.From(ctx)
	switch {
	case !ok:
		return order.Order{}, orderNotFound(id)
	case caller.Customer == o.Owner(), caller.ReadsAll():
		return o, nil
	}
	if o.ClaimedBy, err = r.claimedBy(ctx, o, caller); err != nil {
		return order.Order{}, err
	}
	if caller.Customer != o.Owner() {
		return order.Order{}, orderNotFound(id)
	}
	return o, nil
}

// ReadToChange is Read for a call that changes the order: an order of another customer is for operators, not for those who only read, and one that a customer has
// claimed not for its guest, row or not.
func (r OrderReader) ReadToChange(ctx context.Context, id string) (order.Order, error) {
	o, err := r.Read(ctx, id)
	if err != nil {
		return order.Order{}, err
	}
	caller, _ := auth.From(ctx)
	if caller.ReadsAll() && caller.Customer != o.Owner() { // Read did not need the claim.
		if o.ClaimedBy, err = r.claimedBy(ctx, o, caller); err != nil && !caller.Has(auth.Operator) {
			return order.Order{}, err
		}
	}
	switch lost, err := r.lostTo(ctx, caller); {
	case caller.Has(auth.Operator):
		return o, nil
	case caller.Customer != o.Owner():
		return order.Order{}, roleRequired(auth.Operator)
	case err != nil:
		return order.Order{}, err
	case lost:
		return order.Order{}, orderNotFound(id)
	}
	return o, nil
}

func (r OrderReader) latest(ctx context.Context, id order.ID) (order.Order, error) {
	hot, hotErr := r.hot(ctx, id)
	row, err := r.Rows.Get(ctx, id)
	switch {
	case hotErr == nil && errors.Is(err, order.ErrNotFound):
		return hot, nil
	case err != nil && hotErr == nil:
		r.Log.WarnContext(ctx, "failed to read an order from sql, using redis", "order", id, "error", err)
		return hot, nil
	case errors.Is(err, order.ErrNotFound) && !errors.Is(hotErr, order.ErrNotFound):
		return order.Order{}, hotErr // It may be hot: not found would be a guess.
	case err != nil:
		return order.Order{}, err
	case hotErr == nil && hot.State != row.State && hot.State.Follows(row.State):
		hot.ClaimedBy = row.ClaimedBy
		return hot, nil
	}
	return row, nil
}

func (r OrderReader) hot(ctx context.Context, id order.ID) (order.Order, error) {
	rec, err := r.Hot.HotOrder(ctx, id)
	if err != nil {
		return order.Order{}, err
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err != nil {
		return order.Order{}, err
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, order.ParseCancelReason(rec.Reason)
	return o, nil
}

// overlay takes the states of hot orders from Redis, where that is further than SQL.
func (r OrderReader) overlay(ctx context.Context, page []order.Order) {
	if len(page) == 0 {
		return
	}
	ids := make([]order.ID, len(page))
	for i, o := range page {
		ids[i] = o.ID
	}
	states, err := r.Hot.States(ctx, ids)
	if err != nil {
		r.Log.WarnContext(ctx, "failed to read hot states for a list of orders, using sql", "error", err)
		return
	}
	for i, o := range page {
		if hot, ok := states[o.ID]; ok && hot.Follows(o.State) {
			page[i].State = hot
		}
	}
}
