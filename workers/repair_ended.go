package workers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// confirmed are the states in which an order has a confirmation.
var confirmed = []order.State{order.Paid, order.Shipped, order.ShipFailed}

// scanEnded repairs the orders that entered a state from PAID on longer than MailAfter ago: it makes missing confirmations due, sets the
// missing TTLs of hot orders, restores missing charges, and returns the units of duplicates.
func (r *OrderRepairer) scanEnded(ctx context.Context, now time.Time) (repaired int, more bool, err error) {
	r.resetCursors(now)
	due, err := r.Mails.CountDue(ctx, r.cfg.MaxMailsDue)
	if err != nil {
		return 0, false, err
	}
	states := []order.State{order.Cancelled}
	if due < r.cfg.MaxMailsDue { // Otherwise the mail dispatcher is behind.
		states = append(states, confirmed...)
	}
	var errs []error
	for _, state := range states {
		n, again, err := r.pages(func() (int, bool, error) { return r.endedPage(ctx, state, now.Add(-r.cfg.MailAfter)) })
		repaired += n
		more = more || again
		errs = append(errs, err)
	}
	return repaired, more, errors.Join(errs...)
}

// resetCursors sets the cursors at the first scan, and sets them back each RescanInterval.
func (r *OrderRepairer) resetCursors(now time.Time) {
	back := r.cfg.RescanBack
	switch {
	case r.rescanned.IsZero():
		back = r.cfg.LookBack
	case now.Sub(r.rescanned) < r.cfg.RescanInterval:
		return
	}
	r.rescanned = now
	start := now.Add(-r.cfg.MailAfter - back)
	for _, state := range append([]order.State{order.Cancelled}, confirmed...) {
		// A cursor that is further behind stays.
		if at := r.ended[state].At; at.IsZero() || at.After(start) {
			r.ended[state] = store.Cursor{At: start}
		}
	}
}

func (r *OrderRepairer) endedPage(ctx context.Context, state order.State, before time.Time) (n int, more bool, err error) {
	page, err := r.Orders.InState(ctx, state, r.ended[state], before, r.cfg.Page)
	if err != nil || len(page) == 0 {
		return 0, false, err
	}
	ids := cursorIDs(page)
	if state == order.Cancelled {
		n, err = r.repairCancelled(ctx, ids)
	} else {
		if n, err = r.confirm(ctx, ids); err == nil {
			err = r.restoreCharges(ctx, ids)
		}
	}
	if err != nil {
		return n, false, err
	}
	r.ended[state] = page[len(page)-1]
	return n, len(page) == r.cfg.Page, nil
}

// confirm makes confirmations due that are neither sent nor due, and sets missing TTLs.
func (r *OrderRepairer) confirm(ctx context.Context, ids []order.ID) (int, error) {
	if err := r.setTTLs(ctx, ids, order.Paid); err != nil {
		return 0, err
	}
	deadKeys := make([]string, len(ids))
	for i, id := range ids {
		deadKeys[i] = store.MailKey(id, order.MailConfirmation)
	}
	unsent, err := r.Mails.Unsent(ctx, order.MailConfirmation, ids, deadKeys)
	if err != nil || len(unsent) == 0 {
		return 0, err
	}
	if err := r.Mails.AddAllDue(ctx, order.MailConfirmation, unsent); err != nil {
		return 0, err
	}
	r.Log.WarnContext(ctx, "missing confirmations are due now", "orders", len(unsent), "first", unsent[0])
	return len(unsent), nil
}

// restoreCharges restores the ledger's lines of paid orders, which SQL lost with its last commits: the payment service queries the provider, and
// records what it has. The orders themselves come again from the journal.
func (r *OrderRepairer) restoreCharges(ctx context.Context, ids []order.ID) error {
	uncharged, err := r.Orders.Uncharged(ctx, ids)
	if err != nil || len(uncharged) == 0 {
		return err
	}
	n, err := forEachErr(recoveryConcurrency, uncharged, func(id order.ID) error {
		found, err := r.Payments.Find(ctx, id)
		if err == nil && !found.State.Taken() {
			r.Log.ErrorContext(ctx, "a paid order has no charge, neither in the ledger nor at the provider", "order_id", id, "state", found.State)
		}
		return err
	})
	r.Log.WarnContext(ctx, "charges that SQL had lost were looked up at the payment provider", "orders", n, "first", uncharged[0])
	return err
}

// repairCancelled cancels duplicates for which Redis still holds units, and sets missing TTLs. Redis may have a cancelled order as PAID,
// because SQL decides from then on.
func (r *OrderRepairer) repairCancelled(ctx context.Context, ids []order.ID) (int, error) {
	states, err := r.hotStates(ctx, ids)
	if err != nil || len(states) == 0 {
		return 0, err
	}
	hot := keys(states)
	duplicates, err := r.Orders.Duplicates(ctx, hot)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, d := range duplicates {
		if states[d.ID] == order.Cancelled {
			continue
		}
		delete(states, d.ID) // Its record lists the units to be returned, and must not expire first.
		if err := r.Cancel.CancelDuplicate(ctx, d.ID, d.Of); err != nil {
			return n, err
		}
		n++
		r.Log.WarnContext(ctx, "cancelled a duplicate that was PAID or PENDING in Redis", "order_id", d.ID, "of", d.Of)
	}
	return n, r.Cache.Expire(ctx, states)
}

// setTTLs sets the missing TTLs of the hot orders that are in the state.
func (r *OrderRepairer) setTTLs(ctx context.Context, ids []order.ID, state order.State) error {
	states, err := r.hotStates(ctx, ids)
	if err != nil || len(states) == 0 {
		return err
	}
	for id, s := range states {
		if s != state {
			delete(states, id)
		}
	}
	return r.Cache.Expire(ctx, states)
}

// hotStates reads the states that the orders have in Redis; those that it does not hold are absent. An order that is still PENDING there was paid or cancelled
// while orders were taken in SQL, or Redis lost that: reading it alone compares it with SQL. Without that its record would never get a TTL, and it would count as
// unpaid for minutes.
func (r *OrderRepairer) hotStates(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	states, err := r.Cache.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	behind := slices.DeleteFunc(keys(states), func(id order.ID) bool { return states[id] != order.Pending })
	var mu sync.Mutex
	_, err = forEachErr(recoveryConcurrency, behind, func(id order.ID) error {
		hot, err := r.Cache.HotOrder(ctx, id)
		if err != nil && !errors.Is(err, order.ErrNotFound) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		states[id] = hot.State
		if err != nil {
			delete(states, id)
		}
		return nil
	})
	return states, err
}

func keys(states map[order.ID]order.State) []order.ID {
	out := make([]order.ID, 0, len(states))
	for id := range states {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
