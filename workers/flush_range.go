package workers

import (
	"fmt"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// include adds what the entries say to the range.
func include(r *store.Range, entries []stock.Entry, withOrders bool) error {
	r.Deltas = make(map[order.SKU]int64)
	for _, e := range entries {
		if err := add(r, e, withOrders); err != nil {
			return err
		}
	}
	return nil
}

// add puts an entry into the range.
func add(r *store.Range, e stock.Entry, withOrders bool) error {
	switch e.Kind {
	case stock.Restocked:
		r.Restocks = append(r.Restocks, unitsBack(e))
		return nil
	case stock.Released:
		r.Releases = append(r.Releases, unitsBack(e))
	default:
		for _, d := range e.Deltas {
			r.Deltas[d.SKU] += d.Units
		}
	}
	if e.Kind == stock.Adjusted {
		r.Adjustments = append(r.Adjustments, adjustment(e))
		return nil
	}
	if e.Kind != stock.Released && len(e.Deltas) > 0 {
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

func hold(e stock.Entry) store.Hold {
	return store.Hold{OrderID: e.OrderID, Deltas: e.Deltas}
}

func unitsBack(e stock.Entry) store.Return {
	return store.Return{Hold: hold(e), EntryID: e.ID, Reason: order.ParseCancelReason(e.Detail)}
}

func adjustment(e stock.Entry) store.Adjustment {
	return store.Adjustment{
		ID: e.AdjustmentID, SKU: e.Deltas[0].SKU, Delta: e.Deltas[0].Units, Reason: e.Detail, Actor: e.Actor, At: e.Time,
	}
}

// kindStates says which state each kind of entry brings about.
var kindStates = map[stock.Kind]order.State{
	stock.Reserved: order.Pending, stock.Settled: order.Paid, stock.Released: order.Cancelled,
}

// changeOf reads the order in an entry. What it cannot read is a row error: no retry helps.
func changeOf(e stock.Entry) (store.Change, error) {
	o, err := wire.UnmarshalSnapshot(e.Snapshot)
	if err != nil {
		return store.Change{}, fmt.Errorf("journal entry %s: %w: %w", e.ID, store.ErrRow, err)
	}
	c := store.Change{Order: o, To: kindStates[e.Kind], At: e.Time, Trace: e.Trace}
	if e.Kind == stock.Released {
		c.Reason = order.ParseCancelReason(e.Detail)
	}
	return c, nil
}
