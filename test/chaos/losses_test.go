package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// forgetBefore is how long before a trouble Redis may have acknowledged what it loses: with everysec it puts off the write itself for up
	// to 2 s while an fsync is under way.
	forgetBefore = 3 * time.Second
	// forgetAfter is how long an answer that was given before the end of the trouble may be on its way.
	forgetAfter = time.Second
)

// window is a time in which Redis may lose what it acknowledges.
type window struct{ from, to time.Time } // to is zero while it lasts

// acknowledgement is an order's state as a client was told it.
type acknowledgement struct {
	id    order.ID
	state order.State
	at    time.Time
}

// whileForgetting does what makes Redis lose something. A move is the only one at its time.
func (m *market) whileForgetting(do func()) {
	m.mu.Lock()
	m.windows = append(m.windows, window{from: time.Now().Add(-forgetBefore)})
	m.mu.Unlock()
	do()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows[len(m.windows)-1].to = time.Now().Add(forgetAfter)
}

// forgiven reports whether the shop may have lost what the attempt was told last: with durability journal, what Redis acknowledged just
// before it came back older. What is shipped is in SQL.
func (m *market) forgiven(a *attempt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.durability != "journal" || a.id == "" || a.last == order.Shipped {
		return false
	}
	for _, w := range m.windows {
		if a.toldAt.After(w.from) && (w.to.IsZero() || a.toldAt.Before(w.to)) {
			return true
		}
	}
	return false
}

// learn sets what the client was told now.
func (a *attempt) learn(id order.ID, state order.State) {
	if a.id != id || a.last != state {
		a.toldAt = time.Now()
	}
	a.id, a.last = id, state
}

// lose keeps an acknowledgement that turned out to be lost: its money and its units must come back.
func (a *attempt) lose() {
	a.lost = append(a.lost, acknowledgement{a.id, a.last, a.toldAt})
	a.id, a.last = "", order.Pending
}

// lossesAreRefunded: each paid order that a client was told about, and that the shop lost with its Redis, is listed in the ledger and
// refunded. That its units are back, once, is for the rules on stock.
func (h *house) lossesAreRefunded(ctx context.Context, m *market) ([]finding, error) {
	states, err := h.states(ctx)
	if err != nil {
		return nil, err
	}
	charges := map[order.ID]store.ChargeState{}
	if err := each(ctx, h.db, "SELECT order_id, state FROM charges", func(rows *sql.Rows) error {
		var id order.ID
		var s store.ChargeState
		err := rows.Scan(&id, &s)
		charges[id] = s
		return err
	}); err != nil {
		return nil, err
	}
	var out []finding
	for _, l := range m.losses(states) {
		if charge, listed := charges[l.id]; l.state == order.Paid && (!listed || charge != store.ChargeRefunded) {
			detail := fmt.Sprintf("it was told as %s at %s; its charge is in state %d (0: not listed)", l.state, l.at.UTC().Format(clock), charge)
			out = append(out, finding{"what Redis lost is listed and refunded", string(l.id), detail})
		}
	}
	return out, nil
}

// losses are the acknowledged orders that are not in SQL and may be lost.
func (m *market) losses(states map[order.ID]order.State) (out []acknowledgement) {
	for _, a := range m.attempts {
		all := a.lost
		if m.forgiven(a) {
			all = append(all[:len(all):len(all)], acknowledgement{a.id, a.last, a.toldAt})
		}
		for _, l := range all {
			if _, ok := states[l.id]; !ok {
				out = append(out, l)
			}
		}
	}
	return out
}
