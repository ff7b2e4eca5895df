package order

import "time"

// ChargeState is what became of an order's charge. The numbers are those of SQL.
type ChargeState int8

// The states of a charge.
const (
	// ChargeNone: no charge was asked for, as far as the payment service knows.
	ChargeNone ChargeState = 0
	// ChargePending: asked for, the outcome is not known.
	ChargePending ChargeState = 1
	// ChargeSucceeded: the money was taken.
	ChargeSucceeded ChargeState = 2
	// ChargeDeclined: the provider refused; nothing was taken.
	ChargeDeclined ChargeState = 3
	// ChargeVoided: a tombstone; a late charge is refused.
	ChargeVoided ChargeState = 4
	// ChargeRefunded: taken and given back; the provider confirmed it.
	ChargeRefunded ChargeState = 5
	// ChargeRefunding: taken, and all of it is to be given back, which the provider has not confirmed yet. It can be neither charged nor
	// refunded again.
	ChargeRefunding ChargeState = 6
)

// Taken reports whether the provider took the money, wherever it is now.
func (s ChargeState) Taken() bool {
	return s == ChargeSucceeded || s == ChargeRefunding || s == ChargeRefunded
}

// MaxChargeAttempts bounds the cards that are tried for one order. People have a few; who tries more tests stolen numbers.
const MaxChargeAttempts = 10

// Charge is the ledger's line of one order. It holds no card data (I13).
type Charge struct {
	OrderID  ID
	ChargeID string
	State    ChargeState
	Amount   Money
	// DeclineCode is the provider's reason.
	DeclineCode          string
	CreatedAt, UpdatedAt time.Time
	// Attempt is how many cards were tried, this one included; 0 is stored as 1.
	Attempt int
}

// Refund is money that is to be given back, or was.
type Refund struct {
	RefundID string
	OrderID  ID
	Amount   Money
	Reason   string
	// Actor is the operator who asked for it; empty for a refund of the shop itself.
	Actor string
	// Key is the operator's idempotency key; empty for a refund of the shop itself.
	Key       string
	CreatedAt time.Time
	// ConfirmedAt is when the provider confirmed it; zero until then.
	ConfirmedAt time.Time
	// Attempts is how often the refund worker asked the provider in vain.
	Attempts int
}

// Shipment is a parcel that the carrier has.
type Shipment struct {
	OrderID    ID
	TrackingID string
	// ShippedAt is when the carrier took it, UTC.
	ShippedAt time.Time
}
