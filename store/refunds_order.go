package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// RefundRequest is an operator's refund of an order.
type RefundRequest struct {
	OrderID order.ID
	// RefundID is the id of the refund, unless the key made one before.
	RefundID string
	// Amount is how much; zero is all that is left.
	Amount order.Money
	Reason string
	Actor  string
	// Key is the idempotency key within the order.
	Key string
}

// ErrNotPaid is the order.ErrFailedPrecondition of an order with a PENDING row: its payment may be on its way to SQL.
var ErrNotPaid error = order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderNotPaid, "the order is not paid: cancel it with CancelOrder")

// RefundOrder books a refund of a paid order, once a key, in one transaction that is decided in the order's row against cancelling and
// shipping. Nothing was sent to the provider yet. It is order.ErrNotFound without a row, order.ErrKeyReused when the key made another refund,
// order.ErrInvalid for another currency, and order.ErrFailedPrecondition when the order cannot be refunded so.
func (c *Charges) RefundOrder(ctx context.Context, r RefundRequest) (order.Refund, error) {
	var out order.Refund
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		out, err = c.refundOrder(ctx, tx, r)
		return err
	})
	return out, err
}

func (c *Charges) refundOrder(ctx context.Context, tx *ent.Client, r RefundRequest) (order.Refund, error) {
	row, err := locked(c.db, tx.Order.Query().Where(entorder.ID(string(r.OrderID)))).Select(entorder.FieldState).Only(ctx)
	if ent.IsNotFound(err) {
		return order.Refund{}, fmt.Errorf("order %s: %w", r.OrderID, order.ErrNotFound)
	}
	if err != nil {
		return order.Refund{}, fmt.Errorf("read order %s: %w", r.OrderID, err)
	}
	ch, err := c.db.lockCharge(ctx, tx, r.OrderID)
	if err != nil && !errors.Is(err, order.ErrNotFound) {
		return order.Refund{}, err
	}
	booked, err := bookedRefunds(ctx, tx, r.OrderID)
	if err != nil {
		return order.Refund{}, err
	}
	before, err := tx.Refund.Query().Where(refund.OrderID(string(r.OrderID)), refund.RequestKey(r.Key)).Only(ctx)
	if err == nil {
		return toRefund(before), sameRefund(ctx, tx, toRefund(before), r, ch)
	}
	if !ent.IsNotFound(err) {
		return order.Refund{}, fmt.Errorf("read the refunds of %s: %w", r.OrderID, err)
	}
	left := order.Money{Currency: ch.Amount.Currency, Amount: ch.Amount.Amount - booked}
	if r.Amount == (order.Money{}) {
		r.Amount = left
	}
	if err := refundable(order.State(row.State), ch, r, left); err != nil {
		return order.Refund{}, err
	}
	out := order.Refund{RefundID: r.RefundID, OrderID: r.OrderID, Amount: r.Amount, Reason: r.Reason, Actor: r.Actor, Key: r.Key}
	if r.Amount == left {
		err = c.bookRefund(ctx, tx, &ch, &out)
	} else {
		err = insertRefund(ctx, tx, &out, micro(c.now()))
	}
	return out, err
}

// sameRefund is order.ErrKeyReused unless the request is for the refund that its key made before. One without an amount asked for all that
// was left, after which there is no other refund.
func sameRefund(ctx context.Context, tx *ent.Client, before order.Refund, r RefundRequest, ch order.Charge) error {
	same := before.Reason == truncate(r.Reason, maxRefundReason)
	if r.Amount != (order.Money{}) {
		same = same && before.Amount == r.Amount
	} else if same {
		last, err := lastRefund(ctx, tx, r.OrderID)
		if err != nil {
			return err
		}
		same = ch.State != order.ChargeSucceeded && last.RefundID == before.RefundID
	}
	if !same {
		return fmt.Errorf("refund %s of %s was made with the key: %w", before.RefundID, before.Amount, order.ErrKeyReused)
	}
	return nil
}

// refundable returns why the order cannot be refunded so, if it cannot.
func refundable(state order.State, ch order.Charge, r RefundRequest, left order.Money) error {
	switch {
	case state == order.Pending:
		return ErrNotPaid
	case state == order.Cancelled:
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderCancelled, "the order is cancelled: what was paid goes back by that")
	case ch.State != order.ChargeSucceeded:
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonNothingToRefund, "nothing is left of the order's charge to give back")
	case r.Amount.Currency != left.Currency:
		return order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "the order was paid in %s, not %s", left.Currency, r.Amount.Currency)
	case r.Amount.Amount <= 0:
		return order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "%s cannot be refunded: send an amount above 0, or none for all that is left", r.Amount)
	case r.Amount.Amount > left.Amount:
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonRefundTooLarge, "%s is more than the %s that are left of the order's charge", r.Amount, left)
	case r.Amount == left && state != order.Shipped:
		return order.Refuse(order.ErrFailedPrecondition, order.ReasonCancelInstead,
			"%s is all that is left of the charge, and the order is not shipped: cancel it with CancelOrder, which refunds it and gives its stock back", r.Amount)
	}
	return nil
}
