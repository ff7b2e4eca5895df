package load

import (
	"strings"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// entry is one order that was acknowledged to the client.
type entry struct {
	visit   visit
	buyer   int32
	outcome Outcome
	// state is the last one that was read after the load, 0 before.
	state spillwayv1.OrderState
	// listed means that a list contained it, so that its row exists.
	listed bool
	// shippedAfter is the time from the order's creation to its SHIPPED, both by the shop's clock.
	shippedAfter time.Duration
}

// record is the client's own knowledge, which is compared with the shop's data after the load.
type record struct {
	mu     sync.Mutex
	orders map[string]*entry
	// unknown counts, by buyer, the arrivals that may have made an order unknown to the client.
	unknown map[int32]int
	// duplicates are orders that were the response to two idempotency keys.
	duplicates []Violation
}

func newRecord() *record {
	return &record{orders: make(map[string]*entry), unknown: make(map[int32]int)}
}

// note records the response of a visit.
func (r *record) note(v visit, b *buyer, a response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.unknown {
		r.unknown[b.index]++
	}
	if a.orderID == "" {
		return
	}
	if _, there := r.orders[a.orderID]; there {
		r.duplicates = append(r.duplicates, Violation{Rule: ruleOneKey, OrderID: a.orderID, Detail: "two keys were answered with this one order"})
		return
	}
	r.orders[a.orderID] = &entry{visit: v, buyer: b.index, outcome: a.outcome}
}

// ofBuyers returns the ids of the orders by buyer, for the buyers that have or may have any.
func (r *record) ofBuyers() map[int32][]string {
	out := make(map[int32][]string)
	for id, e := range r.orders {
		out[e.buyer] = append(out[e.buyer], id)
	}
	for b := range r.unknown {
		if _, ok := out[b]; !ok {
			out[b] = nil
		}
	}
	return out
}

// states counts the orders by their last state.
func (r *record) states() map[string]int64 {
	out := make(map[string]int64)
	for _, e := range r.orders {
		name := "not found"
		if e.state != spillwayv1.OrderState_ORDER_STATE_UNSPECIFIED {
			name = strings.TrimPrefix(e.state.String(), "ORDER_STATE_")
		}
		out[name]++
	}
	return out
}
