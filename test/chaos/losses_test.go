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
type window struct {
	from, to time.Time // to is zero while it lasts
	inSQL    bool      // orders are taken in SQL meanwhile
}

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
func (m *market) losing() (end func()) { return m.begin(window{}) }

func (m *market) begin(w window) (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.windows)
	w.from = time.Now().Add(-forgetBefore)
	m.windows = append(m.windows, w)
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
	return m.durability == journalOnly && m.acknowledgedWithin(a, func(window) bool { return true })
}

// acknowledgedWithin reports whether the last acknowledgement of the attempt was given within one of the windows, and the order is not shipped yet.
func (m *market) acknowledgedWithin(a *attempt, which func(window) bool) bool {
	if a.id == "" || a.last == order.Shipped {
		return false
	}
	for _, w := range m.windows {
		if which(w) && (a.ackedAt.After(w.from) && (w.to.IsZero() || a.ackedAt.Before(w.to)) || a.chargedAcross(w)) {
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
	charges, err := h.charges(ctx)
	if err != nil {
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

// charges reads the states of all charges.
func (h *harness) charges(ctx context.Context) (map[order.ID]order.ChargeState, error) {
	out := map[order.ID]order.ChargeState{}
	return out, each(ctx, h.db, "SELECT order_id, state FROM charges", func(rows *sql.Rows) error {
		var id order.ID
		var s order.ChargeState
		err := rows.Scan(&id, &s)
		out[id] = s
		return err
	})
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
