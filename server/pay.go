package server

import (
	"context"
	"errors"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

// PayOrder charges a card for a PENDING order of the caller, once. The order's row in the ledger serializes it with expiry: it holds either the
// charge or the tombstone that refuses the charge. A declined card leaves the order PENDING, so that another one can be charged until it
// expires.
func (c *Checkout) PayOrder(ctx context.Context, req *spillwayv1.PayOrderRequest) (*spillwayv1.PayOrderResponse, error) {
	o, err := c.Reader.ReadToChange(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	if o, err = c.pay(ctx, o, req); err != nil {
		return nil, err
	}
	return &spillwayv1.PayOrderResponse{Order: wire.Order(o)}, nil
}

func (c *Checkout) pay(ctx context.Context, o order.Order, req *spillwayv1.PayOrderRequest) (order.Order, error) {
	switch {
	case o.State == order.Cancelled:
		return order.Order{}, orderCancelled(o.ID, o.CancelReason)
	case o.State != order.Pending:
		return o, nil
	case !o.ExpiresAt.IsZero() && c.Now().After(o.ExpiresAt):
		return order.Order{}, order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderExpired,
			"the order could be paid until %s: place another one", o.ExpiresAt.Format(timeFormat)).With(metaOrderID, string(o.ID))
	}
	expected, err := expectedTotal(req.GetExpectedTotal())
	if err != nil {
		return order.Order{}, err
	}
	in := checkedRequest{
		customer: o.CustomerID, key: o.IdempotencyKey, fingerprint: o.Fingerprint, card: cardOf(req.GetCard()), withCard: true, expected: expected,
	}
	if err := in.accepts(o); err != nil {
		return order.Order{}, err
	}
	if err := c.Durable.Ready(); err != nil {
		return order.Order{}, err
	}
	if err := c.Declines.check(ctx, in.customer); err != nil {
		return order.Order{}, err
	}
	if in.ticket, err = c.Paying.admit(ctx, in.customer); err != nil {
		return order.Order{}, err
	}
	defer in.ticket.release()
	// Redis has the offset of the order's last entry, unless it lost the order after SQL had it.
	rec, err := c.Stock.HotOrder(ctx, o.ID)
	if errors.Is(err, order.ErrNotFound) {
		rec, err = stock.HotOrder{State: order.Pending}, nil
	}
	if err != nil {
		return order.Order{}, err
	}
	if rec.State != order.Pending { // Paid or cancelled since it was read.
		return c.resume(ctx, in, o.ID)
	}
	return c.finish(ctx, in, o, rec.Offset)
}

// timeFormat is the format of times in messages: RFC 3339 in UTC, to the second.
const timeFormat = "2006-01-02T15:04:05Z07:00"
