package order

import "time"

// Event is one step in an order's life: it was reserved, paid or cancelled. It carries the whole order, so that events may arrive in
// any order (I8). The journal's entries, the queue's messages and SQL's changes are made of it.
type Event struct {
	// Order is the order as it was reserved.
	Order Order
	// To is the state that the step leads to: Pending, Paid or Cancelled.
	To State
	// At is when it happened, UTC.
	At time.Time
	// Reason is why it was cancelled.
	Reason CancelReason
	// Trace is the W3C trace context of the request that caused it, or empty; see package tracing.
	Trace string
}
