package order

import "time"

// ChargeState is the state of an order's charge. SQL stores its number.
type ChargeState int8

// The states of a charge.
const (
	// ChargeNone means that the payment service has no record of a charge.
	ChargeNone ChargeState = 0
	// ChargePending means that the charge was requested and its outcome is not known.
	ChargePending ChargeState = 1
	// ChargeSucceeded means that the money was taken.
	ChargeSucceeded ChargeState = 2
	// ChargeDeclined means that the provider declined the card; nothing was taken.
	ChargeDeclined ChargeState = 3
	// ChargeVoided is a tombstone: a late charge fails.
	ChargeVoided ChargeState = 4
	// ChargeRefunded means that the money was taken and refunded; the provider confirmed it.
	ChargeRefunded ChargeState = 5
	// ChargeRefunding means that the money was taken and is to be refunded in full, which the provider has not confirmed yet. It can
	// be neither charged nor refunded again.
	ChargeRefunding ChargeState = 6
)

// Taken reports whether the provider took the money, wherever it is now.
func (s ChargeState) Taken() bool {
	return s == ChargeSucceeded || s == ChargeRefunding || s == ChargeRefunded
}

// MaxChargeAttempts is the maximum number of cards per order. Customers have a few; more attempts are tests of stolen numbers.
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

// Refund is a booked refund of a charge, in whole or in part.
type Refund struct {
	RefundID string
	OrderID  ID
	Amount   Money
	Reason   string
	// Actor is the operator who requested it; empty for a refund of the shop itself.
	Actor string
	// Key is the operator's idempotency key; empty for a refund of the shop itself.
	Key       string
	CreatedAt time.Time
	// ConfirmedAt is when the provider confirmed it; zero until then.
	ConfirmedAt time.Time
	// Attempts is the number of failed attempts of the refund worker.
	Attempts int
}

// Shipment is a parcel that the carrier has.
type Shipment struct {
	OrderID    ID
	TrackingID string
	// ShippedAt is when the carrier took it, UTC.
	ShippedAt time.Time
}
