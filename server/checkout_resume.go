package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// owner answers with the order that the key belongs to in SQL, which refused the given one: that is a duplicate, whose stock and money go
// back, or was cancelled meanwhile.
func (c *Checkout) owner(ctx context.Context, in checkedRequest, refused order.ID) (order.Order, error) {
	o, err := c.Orders.FindByKey(ctx, in.customer, in.key)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, notInSQLYet(refused)
	case err != nil:
		return order.Order{}, err
	case !bytes.Equal(o.Fingerprint, in.fingerprint):
		return order.Order{}, order.ErrKeyReused
	case o.ID == refused && o.State == order.Cancelled:
		return cancelled(o)
	case o.ID == refused:
		return o, nil
	}
	return c.resume(ctx, in, o.ID)
}

// resume answers a retry with the order that its key made, and drives one that is still pending to its end: the request that
// began it may have died. While the order is PENDING in SQL, or not there yet, Redis decides about it, and from then on its row does.
func (c *Checkout) resume(ctx context.Context, in checkedRequest, id order.ID) (order.Order, error) {
	rec, err := c.Stock.HotOrder(ctx, id)
	if errors.Is(err, order.ErrNotFound) {
		return c.resumeFromSQL(ctx, in, id)
	}
	if err != nil {
		return order.Order{}, err
	}
	row, err := c.Orders.Get(ctx, id)
	switch {
	case err == nil && row.State != order.Pending:
		return c.fromRow(ctx, in, row)
	case err != nil && !errors.Is(err, order.ErrNotFound):
		return order.Order{}, err
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err != nil {
		return order.Order{}, err
	}
	if rec.State == order.Pending {
		return c.finish(ctx, in, o, rec.Offset)
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, order.ParseCancelReason(rec.Reason)
	if rec.State == order.Cancelled {
		return c.fromRow(ctx, in, o)
	}
	return c.whenDurable(ctx, in, o, rec.Offset)
}

func (c *Checkout) resumeFromSQL(ctx context.Context, in checkedRequest, id order.ID) (order.Order, error) {
	o, err := c.Orders.Get(ctx, id)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, notInSQLYet(id)
	case err != nil:
		return order.Order{}, err
	case o.State == order.Pending:
		return c.finish(ctx, in, o, journal.Offset{})
	}
	return c.fromRow(ctx, in, o)
}

func notInSQLYet(id order.ID) error {
	return notDurableYet(id, fmt.Sprintf("order %s is not in SQL yet", id), nil)
}

// notDurableYet is order.ErrUnavailable for an order whose state is not where it has to be. The cause is for the log; it may be nil.
func notDurableYet(id order.ID, text string, cause error) error {
	var err error = order.Refuse(order.ErrUnavailable, order.ReasonNotDurableYet, "%s", text).With(metaOrderID, string(id))
	if cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return &order.RetryError{After: durableRetryDelay, Err: err}
}

// fromRow answers with an order about which there is nothing more to do, or, if it is a duplicate, with the original.
func (c *Checkout) fromRow(ctx context.Context, in checkedRequest, o order.Order) (order.Order, error) {
	switch {
	case o.State != order.Cancelled:
		return o, nil
	case o.CancelReason.Code == order.CancelDuplicate:
		return c.owner(ctx, in, o.ID)
	}
	return cancelled(o)
}

// cancelled answers a retry of a cancelled order as the first request was answered.
func cancelled(o order.Order) (order.Order, error) {
	if o.CancelReason.Code == order.CancelDeclined {
		return order.Order{}, &order.DeclinedError{OrderID: o.ID, Code: o.CancelReason.DeclineCode}
	}
	return o, nil
}
