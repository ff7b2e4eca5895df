package journal

import (
	"time"

	"github.com/spillway/spillway/order"
)

// Kind is what a journal entry records.
type Kind string

const (
	// Reserved: the stock of an order was taken; the order is PENDING.
	Reserved Kind = "R"
	// Settled: the order was charged; it is PAID. It carries no deltas and, unless an earlier version wrote it, no snapshot.
	Settled Kind = "S"
	// Released: the stock of an order was given back; it is CANCELLED.
	Released Kind = "L"
	// Restocked: the units of an order that SQL cancelled, or that was lost with an earlier Redis, were given back. It carries no
	// snapshot, and implies no state of the order.
	Restocked Kind = "B"
	// Adjusted: an operator changed a SKU's stock.
	Adjusted Kind = "A"
	// Unreadable: the entry cannot be parsed. No script writes it; a consumer of the relay's group receives it instead of such an entry.
	Unreadable Kind = ""
)

// State is the state of the order that entries of the kind lead to; ok is false for kinds that lead to none.
func (k Kind) State() (to order.State, ok bool) {
	switch k {
	case Reserved:
		return order.Pending, true
	case Settled:
		return order.Paid, true
	case Released:
		return order.Cancelled, true
	case Restocked, Adjusted, Unreadable:
	}
	return 0, false
}

// Entry is one record of the journal.
type Entry struct {
	// ID is the stream's id, "milliseconds-sequence". Within one epoch it only grows.
	ID   string
	Kind Kind
	// OrderID is the order (Reserved, Settled, Released, Restocked).
	OrderID order.ID
	// AdjustmentID is the adjustment (Adjusted).
	AdjustmentID string
	// Deltas are units, negative for what was taken.
	Deltas []order.Delta
	// Snapshot is the whole order, opaque here (Reserved, Released). The readers of a Settled entry add it (workers/snapshots.go).
	Snapshot []byte
	Time     time.Time
	// Detail is the charge id (Settled), the reason as order.CancelReason.Encode made it (Released, Restocked), or the operator's reason
	// (Adjusted).
	Detail string
	// Actor is the operator who adjusted.
	Actor string
	// Trace is the W3C trace context of the request, or empty; see package tracing.
	Trace string
}
