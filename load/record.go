package load

import (
	"strings"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// entry is one order that the shop told the client of.
type entry struct {
	visit   visit
	buyer   int32
	outcome Outcome
	// state is the last one that was read after the load, 0 before.
	state spillwayv1.OrderState
	// listed says that a list showed it: its row exists.
	listed bool
	// shippedAfter is from the order's creation to its SHIPPED, both by the shop's clock.
	shippedAfter time.Duration
}

// record is what the client knows by itself, to be held against what the shop says later.
type record struct {
	mu     sync.Mutex
	orders map[string]*entry
	// unknown counts, by buyer, the arrivals that may be orders without the client's knowing.
	unknown map[int32]int
	// twice are orders that were the answer to two keys.
	twice []Violation
}

func newRecord() *record {
	return &record{orders: make(map[string]*entry), unknown: make(map[int32]int)}
}

func (r *record) note(v visit, b *buyer, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.unknown {
		r.unknown[b.index]++
	}
	if a.orderID == "" {
		return
	}
	if _, there := r.orders[a.orderID]; there {
		r.twice = append(r.twice, Violation{Rule: ruleOneKey, OrderID: a.orderID, Detail: "two keys were answered with this one order"})
		return
	}
	r.orders[a.orderID] = &entry{visit: v, buyer: b.index, outcome: a.outcome}
}

// ofBuyers is the orders' ids by buyer, of those buyers who have or may have any.
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

// states counts the orders by the state that was read last.
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
