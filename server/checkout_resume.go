package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// orderOfKey returns the order that SQL has for the key. SQL did not apply the given one: it is a duplicate, which gets its stock and money
// back, or it was cancelled meanwhile.
func (c *Checkout) orderOfKey(ctx context.Context, in checkedRequest, refused order.ID) (order.Order, error) {
	o, err := c.Orders.FindByKey(ctx, in.customer, in.key)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, notInSQLYet(refused)
	case err != nil:
		return order.Order{}, err
	case !bytes.Equal(o.Fingerprint, in.fingerprint):
		return order.Order{}, order.KeyReused(o.ID)
	case o.ID == refused && o.State == order.Cancelled:
		return cancelled(o)
	case o.ID == refused:
		return o, nil
	}
	return c.resume(ctx, in, o.ID)
}

// resume returns the order of a retried request. It finishes an order that is still PENDING, because the process that began it may have died.
// While the order is PENDING in SQL, or not in SQL yet, its state in Redis counts; afterwards that of its row.
func (c *Checkout) resume(ctx context.Context, in checkedRequest, id order.ID) (order.Order, error) {
	rec, err := c.Stock.HotOrder(ctx, id)
	if errors.Is(err, order.ErrNotFound) {
		return c.resumeFromSQL(ctx, in, id)
	}
	if err != nil {
		return order.Order{}, err
	}
	row, err := c.row(ctx, id)
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
		if err := c.Durable.Ready(); err != nil { // Nothing is charged.
			return order.Order{}, stalled(id, err)
		}
		return c.finish(ctx, in, o, rec.Offset)
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, order.ParseCancelReason(rec.Reason)
	if rec.State == order.Cancelled {
		if err := c.whenCancelled(ctx, id, rec.Offset, nil); err != nil {
			return order.Order{}, err
		}
		return c.fromRow(ctx, in, o)
	}
	return c.whenDurable(ctx, in, o, rec.Offset)
}

// maxStalledRead bounds the reading of an order's row while SQL does not apply the journal: usually it does not respond either.
const maxStalledRead = time.Second

// row reads the row of an order that Redis has.
func (c *Checkout) row(ctx context.Context, id order.ID) (order.Order, error) {
	if c.Durable.Ready() == nil {
		return c.Orders.Get(ctx, id)
	}
	ctx, cancel := context.WithTimeout(ctx, maxStalledRead)
	defer cancel()
	o, err := c.Orders.Get(ctx, id)
	if err != nil && !errors.Is(err, order.ErrNotFound) {
		err = stalled(id, err)
	}
	return o, err
}

// stalled is the error for the retry of an order while no order becomes durable.
func stalled(id order.ID, cause error) error {
	return notDurableYet(id, fmt.Sprintf("order %s is accepted but not yet durable; send the same request with the same key again", id), cause)
}

func (c *Checkout) resumeFromSQL(ctx context.Context, in checkedRequest, id order.ID) (order.Order, error) {
	o, err := c.Orders.Get(ctx, id)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, c.withoutRow(ctx, id)
	case err != nil:
		return order.Order{}, err
	case o.State == order.Pending:
		return c.finish(ctx, in, o, journal.Offset{})
	}
	return c.fromRow(ctx, in, o)
}

// withoutRow returns the error for an order that neither Redis nor SQL has: it was lost and given up, so that its money and its units go back, or
// its row is still to be written.
func (c *Checkout) withoutRow(ctx context.Context, id order.ID) error {
	reason, err := c.Orders.CancellationOf(ctx, id)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return notInSQLYet(id)
	case err != nil:
		return err
	}
	return orderCancelled(id, reason)
}

// orderCancelled is the refusal of a step of a cancelled order.
func orderCancelled(id order.ID, reason order.CancelReason) error {
	return order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderCancelled,
		"the order is cancelled (%s): place another one", reason.Text).With(metaOrderID, string(id))
}

// fromRow returns an order that needs no further step; for a duplicate, the original.
func (c *Checkout) fromRow(ctx context.Context, in checkedRequest, o order.Order) (order.Order, error) {
	switch {
	case o.State != order.Cancelled:
		return o, nil
	case o.CancelReason.Code == order.CancelDuplicate:
		return c.orderOfKey(ctx, in, o.ID)
	}
	return cancelled(o)
}

// cancelled returns for a retry what the first request got for the cancelled order: the order, or the error of a declined card.
func cancelled(o order.Order) (order.Order, error) {
	if o.CancelReason.Code == order.CancelDeclined {
		return order.Order{}, &order.DeclinedError{OrderID: o.ID, Code: order.ShownDecline(o.CustomerID, o.CancelReason.DeclineCode)}
	}
	return o, nil
}
