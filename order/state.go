package order

import (
	"fmt"
	"slices"
	"time"
)

// State is the state of an order. SQL and Redis store its number, which has no rank: only the table of transitions
// defines which state may follow which.
type State int8

const (
	// Pending is entered when the stock is reserved, and left when the outcome of the payment is known. While an order
	// is pending, Redis is authoritative.
	Pending State = 0
	// Paid is entered when the card was charged, and left when the carrier accepted or refused the parcel, or by a
	// cancellation with refund. From here on SQL is authoritative.
	Paid State = 1
	// Cancelled is entered when the stock is released (and the money, if it was taken, is to be refunded), and never
	// left.
	Cancelled State = 2
	// Shipped is entered when the carrier has the parcel, and never left.
	Shipped State = 3
	// ShipFailed is entered when the carrier did not accept the parcel in all attempts, and left when a later attempt
	// succeeds, or by a cancellation with refund.
	ShipFailed State = 4
)

// transitions is the state machine: the states that may follow each state.
var transitions = map[State][]State{
	Pending:    {Paid, Cancelled},
	Paid:       {Shipped, ShipFailed, Cancelled},
	ShipFailed: {Shipped, Cancelled},
	Shipped:    {},
	Cancelled:  {},
}

// Status is the state of an order, why it is in it, and since when.
type Status struct {
	State State
	// Reason is why it was cancelled; zero in other states.
	Reason CancelReason
	At     time.Time
}

var stateNames = map[State]string{
	Pending: "PENDING", Paid: "PAID", Cancelled: "CANCELLED", Shipped: "SHIPPED", ShipFailed: "SHIP_FAILED",
}

// States returns every state, sorted by number.
func States() []State { return []State{Pending, Paid, Cancelled, Shipped, ShipFailed} }

// Valid reports whether s is a known state.
func (s State) Valid() bool { _, ok := transitions[s]; return ok }

// Final reports whether no state follows s.
func (s State) Final() bool { return s.Valid() && len(transitions[s]) == 0 }

// CanBecome reports whether the table allows a transition from s to next in one step.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }

// Predecessors returns the states from which s is entered in one step. Every UPDATE of a state is guarded by them (I7).
func (s State) Predecessors() []State {
	var out []State
	for _, from := range States() {
		if from.CanBecome(s) {
			out = append(out, from)
		}
	}
	return out
}

// Follows reports whether s is reachable from the earlier state in zero or more steps, that is whether an order that
// was seen in earlier may now be in s.
func (s State) Follows(earlier State) bool {
	if s == earlier {
		return true
	}
	return slices.ContainsFunc(transitions[earlier], s.Follows)
}

// String returns the state's name, such as "SHIP_FAILED".
func (s State) String() string {
	if n, ok := stateNames[s]; ok {
		return n
	}
	return fmt.Sprintf("State(%d)", int8(s))
}
