package order

import (
	"fmt"
	"slices"
)

// State says how far an order came. Its number is what SQL and Redis keep; it carries no rank: only the
// table of transitions says what may follow what.
type State int8

const (
	// Pending is entered when the stock is reserved, and left when the payment's outcome is known. While
	// an order is pending, Redis decides.
	Pending State = 0
	// Paid is entered when the card was charged, and left when the carrier took or refused the parcel, or
	// by a cancellation with refund. From here on SQL decides.
	Paid State = 1
	// Cancelled is entered when the stock was given back (and the money, if it was taken), and never left.
	Cancelled State = 2
	// Shipped is entered when the carrier has the parcel, and never left.
	Shipped State = 3
	// ShipFailed is entered when the carrier refused the parcel for good, and left when it takes it after
	// all, or by a cancellation with refund.
	ShipFailed State = 4
)

// transitions is the one table of the state machine: what may follow each state.
var transitions = map[State][]State{
	Pending:    {Paid, Cancelled},
	Paid:       {Shipped, ShipFailed, Cancelled},
	ShipFailed: {Shipped, Cancelled},
	Shipped:    {},
	Cancelled:  {},
}

var stateNames = map[State]string{
	Pending: "PENDING", Paid: "PAID", Cancelled: "CANCELLED", Shipped: "SHIPPED", ShipFailed: "SHIP_FAILED",
}

// States lists every state in the order of its number.
func States() []State { return []State{Pending, Paid, Cancelled, Shipped, ShipFailed} }

// Valid says whether s is one of the states.
func (s State) Valid() bool { _, ok := transitions[s]; return ok }

// Final says whether nothing follows s.
func (s State) Final() bool { return s.Valid() && len(transitions[s]) == 0 }

// CanBecome says whether the table lets an order go from s to next in one step.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }

// Predecessors are the states from which s is entered in one step: the guard of every UPDATE (I7).
func (s State) Predecessors() []State {
	var out []State
	for _, from := range States() {
		if from.CanBecome(s) {
			out = append(out, from)
		}
	}
	return out
}

// Follows says whether s can be reached from the earlier state in any number of steps, none included: whether
// an order that was seen in earlier may now be in s.
func (s State) Follows(earlier State) bool {
	if s == earlier {
		return true
	}
	return slices.ContainsFunc(transitions[earlier], s.Follows)
}

// String is the state's name as operators see it, such as "SHIP_FAILED".
func (s State) String() string {
	if n, ok := stateNames[s]; ok {
		return n
	}
	return fmt.Sprintf("State(%d)", int8(s))
}
