package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
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

// acknowledgement is an order state that a client received.
type acknowledgement struct {
	id    order.ID
	state order.State
	at    time.Time
}

// whileLosing does what makes Redis lose something. A move is the only one at its time.
func (m *market) whileLosing(do func()) {
	end := m.losing()
	do()
	end()
}

// losing begins a time in which Redis may lose what it acknowledges, and returns what ends it.
func (m *market) losing() (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.windows)
	m.windows = append(m.windows, window{from: time.Now().Add(-forgetBefore)})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.windows[n].to = time.Now().Add(forgetAfter)
	}
}

// mayBeLost reports whether the shop may have lost the last acknowledgement of the attempt: with durability journal, what Redis acknowledged just
// before it came back older. What is shipped is in SQL.
func (m *market) mayBeLost(a *attempt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.durability != journalOnly || a.id == "" || a.last == order.Shipped {
		return false
	}
	for _, w := range m.windows {
		if a.ackedAt.After(w.from) && (w.to.IsZero() || a.ackedAt.Before(w.to)) || a.chargedAcross(w) {
			return true
		}
	}
	return false
}

// chargedAcross reports whether the order was reserved before the end of the window, and acknowledged as PENDING after it, because its charge had no
// outcome: Redis lost the order meanwhile.
func (a *attempt) chargedAcross(w window) bool {
	return a.card != "" && a.last == order.Pending && a.id.Time().Before(w.to) && a.ackedAt.After(w.to) && a.ackedAt.Before(w.to.Add(callTimeout))
}

// learn sets the newest acknowledged state.
func (a *attempt) learn(id order.ID, state order.State) {
	if a.id != id || a.last != state {
		a.ackedAt = time.Now()
	}
	a.id, a.last = id, state
}

// lose keeps an acknowledgement that turned out to be lost: its money and its units must come back.
func (a *attempt) lose() {
	a.lost = append(a.lost, acknowledgement{a.id, a.last, a.ackedAt})
	a.id, a.last = "", order.Pending
}

// lossesAreRefunded: each acknowledged paid order that the shop lost with its Redis, is listed in the ledger and
// refunded. That its units are back, once, is for the rules on stock.
func (h *harness) lossesAreRefunded(ctx context.Context, m *market) ([]violation, error) {
	states, err := h.states(ctx)
	if err != nil {
		return nil, err
	}
	charges := map[order.ID]order.ChargeState{}
	if err := each(ctx, h.db, "SELECT order_id, state FROM charges", func(rows *sql.Rows) error {
		var id order.ID
		var s order.ChargeState
		err := rows.Scan(&id, &s)
		charges[id] = s
		return err
	}); err != nil {
		return nil, err
	}
	var out []violation
	for _, l := range m.losses(states) {
		if charge, listed := charges[l.id]; l.state == order.Paid && (!listed || charge != order.ChargeRefunded) {
			detail := fmt.Sprintf("it was acknowledged as %s at %s; its charge is in state %d (0: not listed)", l.state, l.at.UTC().Format(clock), charge)
			out = append(out, violation{"what Redis lost is listed and refunded", string(l.id), detail})
		}
	}
	return out, nil
}

// losses are the acknowledged orders that are not in SQL and may be lost.
func (m *market) losses(states map[order.ID]order.State) (out []acknowledgement) {
	for _, a := range m.attempts {
		all := a.lost
		if m.mayBeLost(a) {
			all = append(all[:len(all):len(all)], acknowledgement{a.id, a.last, a.ackedAt})
		}
		for _, l := range all {
			if _, ok := states[l.id]; !ok {
				out = append(out, l)
			}
		}
	}
	return out
}
