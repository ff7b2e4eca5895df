package e2e

import (
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// statesAtOnce is how many orders are read by one statement. One statement an order takes minutes of a busy machine after a long fight, in which
// the buyers place more than it reads.
const statesAtOnce = 1000

// states reads the states of orders from SQL; those that it does not have are left out.
func (f *fight) states(ids []order.ID) (map[order.ID]order.State, error) {
	f.t.Helper()
	orders, out := store.NewOrders(f.db()), make(map[order.ID]order.State, len(ids))
	for chunk := range slices.Chunk(ids, statesAtOnce) {
		found, err := orders.States(f.t.Context(), chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, found)
	}
	return out, nil
}

// awaitSettled waits until SQL has each of the orders as paid or cancelled.
func (f *fight) awaitSettled(what string, left []order.ID) {
	f.t.Helper()
	left = slices.Clone(left)
	f.eventually(drainTime, what, func() bool {
		found, err := f.states(left)
		if err != nil {
			return false // The database may be on its way back.
		}
		left = slices.DeleteFunc(left, func(id order.ID) bool {
			state, ok := found[id]
			return ok && state != order.Pending
		})
		return len(left) == 0
	})
}

// held counts the orders that were answered as paid or pending, without the pending ones that SQL has as cancelled.
func (f *fight) held() int {
	f.t.Helper()
	states, err := f.states(ids(f.pending))
	if err != nil {
		f.t.Fatal(err)
	}
	n := len(f.paid) + len(f.pending)
	for _, state := range states {
		if state == order.Cancelled {
			n--
		}
	}
	return n
}

// ids are the keys.
func ids(of map[string]bool) (out []order.ID) {
	for id := range of {
		out = append(out, order.ID(id))
	}
	return out
}

// reconcilesAfter is the shop's --reconcile-after.
func (s *shop) reconcilesAfter() time.Duration {
	i := slices.Index(s.args, "--reconcile-after")
	if i < 0 {
		return reconcileAfter
	}
	d, err := time.ParseDuration(s.args[i+1])
	if err != nil {
		s.t.Error(err)
	}
	return d
}
