package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

// owner answers with the order that the key belongs to: SQL refused this one, whose stock and money go back.
func (c *Checkout) owner(ctx context.Context, in intent) (order.Order, error) {
	o, err := c.Orders.FindByKey(ctx, in.customer, in.key)
	if err == nil && !bytes.Equal(o.Fingerprint, in.fingerprint) {
		err = order.ErrKeyReused
	}
	return o, err
}

// resume answers a retry with the order that its key made, and drives one that is still pending to its end: the request that
// began it may have died.
func (c *Checkout) resume(ctx context.Context, in intent, id order.ID) (order.Order, error) {
	rec, err := c.Stock.Record(ctx, id)
	if errors.Is(err, order.ErrNotFound) {
		return c.resumeFromSQL(ctx, in, id)
	}
	if err != nil {
		return order.Order{}, err
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err != nil {
		return order.Order{}, err
	}
	if rec.State == order.Pending {
		return c.finish(ctx, in, o, rec.Position)
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, rec.Reason
	if rec.State == order.Cancelled {
		return cancelled(o)
	}
	err = c.durable(ctx, rec.Position, id, order.Paid)
	if errors.Is(err, stock.ErrRefused) {
		return c.owner(ctx, in)
	}
	return o, err
}

func (c *Checkout) resumeFromSQL(ctx context.Context, in intent, id order.ID) (order.Order, error) {
	o, err := c.Orders.Get(ctx, id)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, &order.RetryError{After: durableRetry, Err: fmt.Errorf("order %s is not in SQL yet: %w", id, order.ErrUnavailable)}
	case err != nil:
		return order.Order{}, err
	case o.State == order.Pending:
		return c.finish(ctx, in, o, stock.Position{})
	case o.State == order.Cancelled:
		return cancelled(o)
	}
	return o, nil
}

// cancelled answers a retry of a cancelled order as the first request was answered.
func cancelled(o order.Order) (order.Order, error) {
	if code, ok := strings.CutPrefix(o.CancelReason, order.ReasonDeclined); ok {
		return order.Order{}, &order.DeclinedError{OrderID: o.ID, Code: code}
	}
	return o, nil
}
