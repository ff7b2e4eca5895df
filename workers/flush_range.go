package workers

import (
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// include adds the effects of the entries to the range; with their orders' changes if withOrders is set.
func include(r *store.Range, entries []journal.Entry, withOrders bool) error {
	r.Deltas = make(map[order.SKU]int64)
	for _, e := range entries {
		if err := add(r, e, withOrders); err != nil {
			return err
		}
	}
	return nil
}

// add adds the effect of one entry to the range.
func add(r *store.Range, e journal.Entry, withOrders bool) error {
	switch e.Kind {
	case journal.Restocked:
		r.Restocks = append(r.Restocks, returned(e))
		return nil
	case journal.Released:
		r.Releases = append(r.Releases, returned(e))
	default:
		for _, d := range e.Deltas {
			r.Deltas[d.SKU] += d.Units
		}
	}
	if e.Kind == journal.Adjusted {
		r.Adjustments = append(r.Adjustments, adjustment(e))
		return nil
	}
	if e.Kind != journal.Released && len(e.Deltas) > 0 {
		r.Holds = append(r.Holds, hold(e))
	}
	if !withOrders {
		return nil
	}
	change, err := changeOf(e)
	if err == nil {
		r.Changes = append(r.Changes, change)
	}
	return err
}

func hold(e journal.Entry) store.Hold {
	return store.Hold{OrderID: e.OrderID, Deltas: e.Deltas}
}

func returned(e journal.Entry) store.Return {
	return store.Return{Hold: hold(e), EntryID: e.ID, Reason: order.ParseCancelReason(e.Detail)}
}

func adjustment(e journal.Entry) order.Adjustment {
	return order.Adjustment{
		ID: e.AdjustmentID, SKU: e.Deltas[0].SKU, Units: e.Deltas[0].Units, Reason: e.Detail, Actor: e.Actor, At: e.Time,
	}
}

// changeOf returns the change of an order in an entry. A snapshot that cannot be read is a row error: retries cannot succeed.
func changeOf(e journal.Entry) (order.Event, error) {
	if lacksSnapshot(e) {
		return order.Event{}, fmt.Errorf("journal entry %s: %w: %w", e.ID, store.ErrRow, errNoOrder)
	}
	o, err := wire.UnmarshalSnapshot(e.Snapshot)
	if err != nil {
		return order.Event{}, fmt.Errorf("journal entry %s: %w: %w", e.ID, store.ErrRow, err)
	}
	to, _ := e.Kind.State()
	c := order.Event{Order: o, To: to, At: e.Time, Trace: e.Trace}
	if e.Kind == journal.Released {
		c.Reason = order.ParseCancelReason(e.Detail)
	}
	return c, nil
}
