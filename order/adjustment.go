package order

import "time"

// Adjustment is a change of a SKU's stock by an operator.
type Adjustment struct {
	// ID makes a retry the same adjustment.
	ID  string
	SKU SKU
	// Units are added, or taken away when negative.
	Units         int64
	Reason, Actor string
	// At is when it was made.
	At time.Time
}
