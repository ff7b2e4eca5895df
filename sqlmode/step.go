package sqlmode

import (
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// step is one step of an order, or an adjustment. One of reserve, settle, release, restock and adjust is set.
type step struct {
	epoch journal.Epoch

	reserve *stock.Request
	order   order.Order // of reserve
	settle  order.ID

	release order.ID
	reason  order.CancelReason

	restock *store.Return
	adjust  *order.Adjustment

	// done has room for one value, so that a batch never waits for a caller. The results are set before it is signalled.
	done   chan struct{}
	err    error
	replay order.ID
	left   int64
}

// reset removes the results of an earlier attempt.
func (s *step) reset() { s.err, s.replay, s.left = nil, "", 0 }

// lines is the size of the step.
func (s *step) lines() int {
	if s.reserve != nil {
		return len(s.reserve.Demand)
	}
	return 1
}
