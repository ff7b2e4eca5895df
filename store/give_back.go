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
func (db *DB) givenBack(ctx context.Context, tx *sql.Tx, r Range) (map[order.SKU]int64, error) {
	if len(r.Releases)+len(r.Restocks) == 0 {
		return r.Deltas, nil
	}
	deltas := maps.Clone(r.Deltas)
	if deltas == nil {
		deltas = make(map[order.SKU]int64)
	}
	aside, err := db.putAside(ctx, tx, r.Releases)
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

func addUnits(deltas map[order.SKU]int64, units []order.Delta) {
	for _, d := range units {
		deltas[d.SKU] += d.Units
	}
}

// putAside are those of the orders whose reservation SQL could not take, and did not take when it was replayed. Their letters that
// are open have nothing more to say: reservation and release make nothing together, and a replay of the one would now take stock.
func (db *DB) putAside(ctx context.Context, tx *sql.Tx, releases []Hold) ([]order.ID, error) {
	if len(releases) == 0 {
		return nil, nil
	}
	letters, err := db.lockLetters(ctx, tx, releases)
	if err != nil {
		return nil, fmt.Errorf("look for reservations that were put aside: %w", err)
	}
	aside := make([]order.ID, len(letters))
	for i, l := range letters {
		aside[i] = order.ID(l.OrderID)
		if l.Status != LetterOpen {
			continue
		}
		by := LetterAction{Action: ActionDiscarded, Actor: FlusherSource, Detail: "the order was released: nothing was taken, and nothing goes back"}
		if _, err := db.closeLetter(ctx, tx, l.ID, LetterDiscarded, nil, by); err != nil {
			return nil, err
		}
	}
	return aside, nil
}

// lockLetters reads the flusher's letters of the orders that were not replayed, and keeps them from being replayed meanwhile.
func (db *DB) lockLetters(ctx context.Context, tx *sql.Tx, releases []Hold) ([]FailedOrder, error) {
	args := []any{FlusherSource, LetterReplayed}
	for _, h := range releases {
		args = append(args, h.OrderID)
	}
	return collect(ctx, tx, "dead letters", func(r scanner) (f FailedOrder, err error) {
		err = r.Scan(&f.ID, &f.OrderID, &f.Status)
		return f, err
	}, "SELECT id, order_id, status FROM failed_orders WHERE source = ? AND status <> ? AND order_id IN ("+marks(len(releases))+") ORDER BY id"+db.forUpdate(), args...)
}
