package audit

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Counters reads what Redis has of the stock.
type Counters interface {
	// Counters reads the counters of the epoch at one moment.
	Counters(ctx context.Context, epoch int64) (CounterState, error)
}

// CounterState is what Redis holds of one epoch.
type CounterState struct {
	// Epoch is the one that is open in Redis; 0 for none.
	Epoch int64
	// LastID is the last entry of the journal; empty when it has none (any more).
	LastID string
	// Units are those of the SKUs whose counter is loaded.
	Units map[order.SKU]int64
}

// Provider lists what the payment provider did.
type Provider interface {
	// Statement lists up to limit orders after the given one, by order id; empty begins with the first.
	Statement(ctx context.Context, after order.ID, limit int) ([]StatementLine, error)
}

// StatementLine is what the provider says of one order.
type StatementLine struct {
	OrderID order.ID
	// Taken says whether the amount was taken; Returned is how much of it was given back.
	Taken    bool
	Amount   order.Money
	Returned order.Cents
}
