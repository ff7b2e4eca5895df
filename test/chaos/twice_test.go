package chaos

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/order"
)

// takingInSQL begins a time in which orders are taken in SQL while Redis is away, and returns what ends it. Without durability sql, SQL may not have the row of
// an order yet that Redis has acknowledged: sent again with its key, it is placed a second time.
func (m *market) takingInSQL() (end func()) {
	return m.begin(window{inSQL: true})
}

// mayBePlacedAgain reports whether the last acknowledged order of the attempt may have been placed again in SQL with its key. Nothing of it is lost: one of
// the two is cancelled.
func (m *market) mayBePlacedAgain(a *attempt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.durability == replica && m.acknowledgedWithin(a, func(w window) bool { return w.inSQL })
}

// replace keeps an acknowledged order of which the client got a second one.
func (a *attempt) replace() {
	a.replaced = append(a.replaced, acknowledgement{a.id, a.last, a.ackedAt})
	a.id, a.last = "", order.Pending
}

// replacedAreCancelled: of two orders with a key the first is in SQL, as CANCELLED, and nothing is charged for it.
func (h *harness) replacedAreCancelled(ctx context.Context, m *market) ([]violation, error) {
	states, err := h.states(ctx)
	if err != nil {
		return nil, err
	}
	charges, err := h.charges(ctx)
	if err != nil {
		return nil, err
	}
	var out []violation
	for _, a := range m.attempts {
		for _, r := range a.replaced {
			if s, ok := states[r.id]; !ok || s != order.Cancelled || charges[r.id] == order.ChargeSucceeded {
				detail := fmt.Sprintf("it is in state %d (in SQL: %t), its charge in state %d, and its client has %s", s, ok, charges[r.id], a.id)
				out = append(out, violation{"an order that was placed again is cancelled", string(r.id), detail})
			}
		}
	}
	return out, nil
}
