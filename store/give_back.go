package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
)

// FlusherSource is the source of dead letters that are journal entries: their stock was not applied.
const FlusherSource = "stock_flusher"

// givenBack is the range's deltas with the units that go back: of released orders, unless their reservation was put aside and so
// never taken; and of cancelled ones, unless they are back already.
func givenBack(ctx context.Context, tx *sql.Tx, r Range) (map[order.SKU]int64, error) {
	if len(r.Releases)+len(r.Restocks) == 0 {
		return r.Deltas, nil
	}
	deltas := maps.Clone(r.Deltas)
	if deltas == nil {
		deltas = make(map[order.SKU]int64)
	}
	aside, err := putAside(ctx, tx, r.Releases)
	if err != nil {
		return nil, err
	}
	for _, h := range r.Releases {
		if !slices.Contains(aside, h.OrderID) {
			addUnits(deltas, h.Deltas)
		}
	}
	for _, h := range r.Restocks {
		first, err := restock(ctx, tx, h.OrderID)
		if err != nil {
			return nil, fmt.Errorf("give the units of %s back: %w", h.OrderID, err)
		}
		if first {
			addUnits(deltas, h.Deltas)
		}
	}
	return deltas, nil
}

func addUnits(deltas map[order.SKU]int64, units []Delta) {
	for _, d := range units {
		deltas[d.SKU] += d.Units
	}
}

// putAside are those of the orders whose reservation SQL could not take.
func putAside(ctx context.Context, tx *sql.Tx, releases []Hold) ([]order.ID, error) {
	if len(releases) == 0 {
		return nil, nil
	}
	args := []any{FlusherSource}
	for _, h := range releases {
		args = append(args, h.OrderID)
	}
	aside, err := orderIDs(ctx, tx, "SELECT order_id FROM failed_orders WHERE source = ? AND order_id IN ("+marks(len(releases))+")", args...)
	if err != nil {
		return nil, fmt.Errorf("look for reservations that were put aside: %w", err)
	}
	return aside, nil
}

func orderIDs(ctx context.Context, q querier, query string, args ...any) ([]order.ID, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []order.ID
	for rows.Next() {
		var id order.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
