package workers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// confirmed are the states of orders that have a confirmation.
var confirmed = []order.State{order.Paid, order.Shipped, order.ShipFailed}

// scanEnded follows the orders that entered a state from PAID on longer than MailAfter ago: each gets its confirmation, its record in Redis a
// TTL, and the units of a duplicate go back.
func (r *OrderRepairer) scanEnded(ctx context.Context, now time.Time) (repaired int, more bool, err error) {
	r.resetCursors(now)
	due, err := r.Mails.CountDue(ctx, r.cfg.MaxMailsDue)
	if err != nil {
		return 0, false, err
	}
	states := []order.State{order.Cancelled}
	if due < r.cfg.MaxMailsDue { // Otherwise the mail dispatcher has enough to do.
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

// resetCursors sets the places at the first scan, and sets them back every RescanInterval.
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
		// A scan that is further behind goes on from where it is.
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
		n, err = r.confirm(ctx, ids)
	}
	if err != nil {
		return n, false, err
	}
	r.ended[state] = page[len(page)-1]
	return n, len(page) == r.cfg.Page, nil
}

// confirm makes the confirmations due that were neither sent nor are due, and sets the TTLs that are missing.
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
	r.Log.WarnContext(ctx, "confirmations were missing and are due now", "orders", len(unsent), "first", unsent[0])
	return len(unsent), nil
}

// repairCancelled undoes duplicates whose units Redis still holds, and sets the TTLs that are missing. Redis may have a cancelled order as
// PAID, because SQL decides from then on.
func (r *OrderRepairer) repairCancelled(ctx context.Context, ids []order.ID) (int, error) {
	states, err := r.Cache.States(ctx, ids)
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
		delete(states, d.ID) // Its record says what goes back.
		if err := r.Cancel.CancelDuplicate(ctx, d.ID, d.Of); err != nil {
			return n, err
		}
		n++
		r.Log.WarnContext(ctx, "a duplicate was still PAID or PENDING in Redis; it is undone", "order", d.ID, "of", d.Of)
	}
	return n, r.Cache.Expire(ctx, states)
}

// setTTLs sets the TTL of the orders that Redis has in the state without one.
func (r *OrderRepairer) setTTLs(ctx context.Context, ids []order.ID, state order.State) error {
	states, err := r.Cache.States(ctx, ids)
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

func keys(states map[order.ID]order.State) []order.ID {
	out := make([]order.ID, 0, len(states))
	for id := range states {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
