package server

import (
	"context"
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// expectedTotal reads the total that a customer agreed to; nil when the request has none.
func expectedTotal(m *spillwayv1.Money) (*order.Money, error) {
	if m == nil {
		return nil, nil //nolint:nilnil // No total is expected.
	}
	total, err := wire.FromMoney(m)
	return &total, inField("expectedTotal", err)
}

// accepts returns a *order.PriceChangedError when the order's total is not what the customer agreed to.
func (in checkedRequest) accepts(o order.Order) error {
	actual := order.Money{Currency: o.Currency, Amount: o.Total}
	if in.expected == nil || *in.expected == actual {
		return nil
	}
	return &order.PriceChangedError{Expected: *in.expected, Actual: actual}
}

// replayOr returns the order that the key made, or the refusal if it made none: since the first request a price may have changed, a product
// may have been archived, or rates have become too old, and a retry gets its order all the same (I4).
func (c *Checkout) replayOr(ctx context.Context, in checkedRequest, refusal error) (order.Order, error) {
	id, err := c.Stock.Replay(ctx, in.customer, in.key, in.fingerprint)
	if err == nil && id == "" {
		err = refusal
	}
	return c.resumeOr(ctx, in, id, err)
}

// checkQuote refuses a shipping quote that cannot be added to an order's items. The error has no class of its own, so that the edge logs
// it and answers `internal`: the shipping service is broken, and sending the request again does not help.
func checkQuote(shipping order.Money, currency order.Currency) error {
	if shipping.Currency != currency || shipping.Amount < 0 {
		return fmt.Errorf("the shipping service quoted %s for an order in %s", shipping, currency)
	}
	return nil
}

// charge takes the order's total. An order that is paid later may have been declined before: then this is another attempt. It returns
// order.ErrOverloaded, and sends nothing, when too many charges are under way.
func (c *Checkout) charge(ctx context.Context, in checkedRequest, o order.Order) (order.Charge, error) {
	if err := in.ticket.start(); err != nil {
		return order.Charge{}, err
	}
	defer in.ticket.release()
	total := order.Money{Currency: o.Currency, Amount: o.Total}
	if paidLater(o) {
		return c.Payments.ChargeAgain(ctx, o.ID, total, in.card)
	}
	return c.Payments.Charge(ctx, o.ID, total, in.card)
}

// paidLater says whether the order was placed without a card.
func paidLater(o order.Order) bool { return !o.ExpiresAt.IsZero() }

// declined returns the answer to a declined card. An order that was placed with the card is released. One that is paid later keeps
// its stock until it expires, so that another card can be tried; the payment reconciler releases it then.
func (c *Checkout) declined(ctx context.Context, o order.Order, code string) error {
	answer := &order.DeclinedError{OrderID: o.ID, Code: code, PayUntil: o.ExpiresAt}
	if paidLater(o) {
		return answer
	}
	return c.release(ctx, o, order.CancelledAsDeclined(code), answer)
}
