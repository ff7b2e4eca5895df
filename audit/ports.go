package audit

import (
	"context"

	"github.com/spillway/spillway/order"
)

// Counters reads the stock counters in Redis.
type Counters interface {
	// Counters returns the counters of the epoch at one moment.
	Counters(ctx context.Context, epoch int64) (CounterState, error)
}

// CounterState is the content of Redis about one epoch.
type CounterState struct {
	// Epoch is the number of the open epoch in Redis; 0 for none.
	Epoch int64
	// LastID is the id of the last entry of the journal; empty if it has none.
	LastID string
	// Units are the counters of the SKUs that are loaded, in units.
	Units map[order.SKU]int64
}

// Provider lists the operations of the payment provider.
type Provider interface {
	// Statement lists up to limit orders after the given one, sorted by order id; empty begins with the first.
	Statement(ctx context.Context, after order.ID, limit int) ([]StatementLine, error)
}

// StatementLine is the provider's record of one order.
type StatementLine struct {
	OrderID order.ID
	// Taken reports whether the amount was taken; Returned is the refunded part of it, in minor units.
	Taken    bool
	Amount   order.Money
	Returned order.Cents
}
