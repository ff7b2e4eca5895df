package workers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// HotSnapshots reads the snapshots of hot orders; orders that Redis does not hold are absent.
type HotSnapshots interface {
	Snapshots(ctx context.Context, ids []order.ID) (map[order.ID][]byte, error)
}

// OrderRows reads orders from SQL; those without a row are absent.
type OrderRows interface {
	ByIDs(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error)
}

// SnapshotSources are the places from which the snapshot of an order is read that its journal entry does not carry.
type SnapshotSources struct {
	// Hot has every order until SQL has its last state.
	Hot HotSnapshots
	// Rows has those that Hot does not hold any more.
	Rows OrderRows
}

// find returns the snapshots of the orders: one pipeline to Redis, and one SELECT for those that Redis does not hold. Orders that neither
// holds are absent.
func (s SnapshotSources) find(ctx context.Context, ids []order.ID) (map[order.ID][]byte, error) {
	if len(ids) == 0 {
		return map[order.ID][]byte{}, nil
	}
	found, err := s.Hot.Snapshots(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read the snapshots of %d hot orders: %w", len(ids), err)
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return len(found[id]) > 0 })
	if len(missing) == 0 {
		return found, nil
	}
	rows, err := s.Rows.ByIDs(ctx, missing)
	if err != nil {
		return nil, fmt.Errorf("read %d orders that Redis does not hold any more: %w", len(missing), err)
	}
	for id, row := range rows {
		if found[id], err = wire.MarshalSnapshot(asReserved(row)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// asReserved returns the order of a row as it was when its stock was reserved.
func asReserved(o order.Order) order.Order {
	o.State, o.UpdatedAt, o.CancelReason = order.Pending, o.CreatedAt, order.CancelReason{}
	o.Refunded, o.RefundPending = 0, 0
	return o
}

// lacksSnapshot reports whether the order of an entry is in the entry of its reservation only. A settled entry of an earlier
// version carries it.
func lacksSnapshot(e journal.Entry) bool { return e.Kind == journal.Settled && len(e.Snapshot) == 0 }

// completeEntry adds the snapshot to an entry that lacks it. It leaves the entry as it is if no source has the order.
func (s SnapshotSources) completeEntry(ctx context.Context, e *journal.Entry) error {
	if !lacksSnapshot(*e) {
		return nil
	}
	found, err := s.find(ctx, []order.ID{e.OrderID})
	e.Snapshot = found[e.OrderID]
	return err
}

// completePoison is completeEntry for one that cannot be read, but names its order.
func (s SnapshotSources) completePoison(ctx context.Context, e *journal.PoisonError) error {
	id, err := order.ParseID(e.Raw["order"])
	if err != nil || journal.Kind(e.Raw["kind"]) != journal.Settled || e.Raw["snapshot"] != "" {
		return nil //nolint:nilerr // Without its order there is nothing to add.
	}
	found, err := s.find(ctx, []order.ID{id})
	if err != nil || len(found[id]) == 0 {
		return err
	}
	e.Raw = maps.Clone(e.Raw)
	e.Raw["snapshot"] = string(found[id])
	return nil
}

// completeEvents adds the snapshots to events that lack them: a relay of an earlier version sends such events for settled entries of
// this one. It leaves the events of orders as they are that no source has.
func (s SnapshotSources) completeEvents(ctx context.Context, events []*spillwayv1.OrderEvent) error {
	var missing []order.ID
	for _, e := range events {
		if len(e.GetSnapshot()) == 0 && e.GetOrderId() != "" {
			missing = append(missing, order.ID(e.GetOrderId()))
		}
	}
	found, err := s.find(ctx, missing)
	if err != nil {
		return err
	}
	for _, e := range events {
		if len(e.GetSnapshot()) == 0 {
			e.Snapshot = found[order.ID(e.GetOrderId())]
		}
	}
	return nil
}

// completer adds the snapshots to settled entries: from the reservations that it has read, otherwise from its sources. It is not safe for
// concurrent use.
type completer struct {
	sources SnapshotSources
	recent  recentSnapshots
}

func newCompleter(sources SnapshotSources) completer {
	return completer{sources: sources, recent: newRecentSnapshots(maxRecentSnapshots, maxRecentBytes)}
}

// complete adds the snapshots in place. It leaves the entries of orders as they are that no source has.
func (c *completer) complete(ctx context.Context, entries []journal.Entry) error {
	missing := c.fromRecent(entries)
	if len(missing) == 0 {
		return nil
	}
	found, err := c.sources.find(ctx, missing)
	if err != nil {
		return err
	}
	for i := range entries {
		if lacksSnapshot(entries[i]) {
			entries[i].Snapshot = found[entries[i].OrderID]
		}
	}
	return nil
}

// fromRecent remembers the reservations among the entries, adds to the settled entries what it remembers, and returns the orders of the
// others. It forgets orders that are settled or released.
func (c *completer) fromRecent(entries []journal.Entry) (missing []order.ID) {
	for _, e := range entries {
		if e.Kind == journal.Reserved {
			c.recent.put(e.OrderID, e.Snapshot)
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Kind != journal.Settled && e.Kind != journal.Released {
			continue
		}
		snapshot := c.recent.take(e.OrderID)
		if !lacksSnapshot(*e) {
			continue
		}
		if e.Snapshot = snapshot; len(snapshot) == 0 {
			missing = append(missing, e.OrderID)
		}
	}
	return missing
}
