package payment

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Provider is the external service that charges cards. Every call is idempotent by order id. Implementations are safe for concurrent use and
// return when ctx ends.
type Provider interface {
	// Charge charges the amount, once for an order. A declined card is an outcome. An error means that the outcome is unknown.
	Charge(ctx context.Context, id order.ID, amount order.Money, card Card) (Outcome, error)
	// ChargeAgain makes attempt number attempt, 2 or more, for an order after the earlier attempts were declined. It is idempotent by order
	// and attempt. If an attempt of the order has succeeded already, it charges nothing and returns the outcome of that one.
	ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card Card) (Outcome, error)
	// Find returns the outcome of the last attempt to charge an order, and false if the provider has none.
	Find(ctx context.Context, id order.ID) (Outcome, bool, error)
	// Refund refunds the amount of an order's charge, once for each refund id. It returns nil if the amount is refunded, or if nothing of
	// the charge is left to refund. It returns order.ErrFailedPrecondition if less than the amount is left. After any other error the
	// outcome is unknown.
	Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error
}

// Statement lists the outcomes of a provider, so that an audit can compare them with the ledger. Providers implement it optionally.
type Statement interface {
	// Statement returns up to limit outcomes of orders with ids greater than after, by order id. An empty after starts with the first order.
	Statement(ctx context.Context, after order.ID, limit int) ([]StatementLine, error)
}

// StatementLine is the provider's outcome of one order.
type StatementLine struct {
	OrderID order.ID
	Outcome
}

// Outcome is the provider's outcome of a charge.
type Outcome struct {
	// Amount is the amount of the request.
	Amount order.Money
	// Succeeded is true if the card was charged, also after a refund.
	Succeeded bool
	// DeclineCode is the reason of a decline, such as "insufficient_funds"; empty if the charge succeeded.
	DeclineCode string
	// Refunded is true if the whole amount was refunded.
	Refunded bool
	// Returned is the refunded amount, in minor units of the amount's currency.
	Returned order.Cents
	// Attempt is the number of the attempt with this outcome, starting at 1.
	Attempt int
}
