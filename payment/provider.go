package payment

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Provider is an outside party that takes money from cards. Every call is idempotent by the order's id.
type Provider interface {
	// Charge takes the amount once. A refused card is an outcome; an error means that the outcome is unknown.
	Charge(ctx context.Context, id order.ID, amount order.Money, card Card) (Outcome, error)
	// ChargeAgain is the given attempt, 2 or more, of an order whose earlier attempts were refused. It is idempotent by order and
	// attempt, and takes nothing when an attempt of the order has succeeded already: it returns that one.
	ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card Card) (Outcome, error)
	// Find says what became of the last attempt to charge an order; false when the provider never saw one.
	Find(ctx context.Context, id order.ID) (Outcome, bool, error)
	// Refund gives the amount of an order's charge back, once a refund id: nil means that it did, or that nothing of the charge is left
	// to give back. An error means that the outcome is unknown, or, with order.ErrFailedPrecondition, that less than the amount is left.
	Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error
}

// Statement is implemented by a provider that can list what it did, so that an audit can compare its books with the ledger.
type Statement interface {
	// Statement lists up to limit outcomes of orders after the given one, by order id; empty begins with the first.
	Statement(ctx context.Context, after order.ID, limit int) ([]StatementLine, error)
}

// StatementLine is what a provider did for one order.
type StatementLine struct {
	OrderID order.ID
	Outcome
}

// Outcome is what a provider says of a charge.
type Outcome struct {
	// Amount is what was asked for.
	Amount    order.Money
	Succeeded bool
	// DeclineCode is why it refused, such as "insufficient_funds".
	DeclineCode string
	// Refunded says whether all of it was given back.
	Refunded bool
	// Returned is how much was given back, in minor units of the amount's currency.
	Returned order.Cents
	// Attempt is the attempt that this is the outcome of: 1 for the first.
	Attempt int
}
