package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// FlusherSource is the source of dead letters that are journal entries: their stock was not applied.
const FlusherSource = "stock_flusher"

// Return is the units of one order that a journal entry gives back.
type Return struct {
	Hold
	// EntryID is the journal entry.
	EntryID string
	// Reason is why the order was cancelled.
	Reason order.CancelReason
}

// givenBack is what the returns of a range change.
type givenBack struct {
	// deltas are the units of the whole range, returns included.
	deltas map[order.SKU]int64
	// holds are the releases that were applied; before are the orders of those that were not, because an earlier one was.
	holds  []Hold
	before []order.ID
}

// giveBack adds the returns of a range to its deltas and records them: each order's units return once. Those of an order whose
// reservation is a dead letter were never taken, and do not return. A restock also needs the cancellation that it belongs to.
func (db *DB) giveBack(ctx context.Context, tx *ent.Client, r Range) (givenBack, error) {
	if len(r.Releases)+len(r.Restocks) == 0 {
		return givenBack{deltas: r.Deltas}, nil
	}
	out := givenBack{deltas: maps.Clone(r.Deltas)}
	if out.deltas == nil {
		out.deltas = make(map[order.SKU]int64)
	}
	all := slices.Concat(r.Releases, r.Restocks)
	neverTaken, err := db.putAside(ctx, tx, all)
	if err != nil {
		return givenBack{}, err
	}
	known, err := returnedAmong(ctx, tx, returnIDs(all))
	if err != nil {
		return givenBack{}, err
	}
	restockable, err := cancelledAmong(ctx, tx, returnIDs(r.Restocks))
	if err != nil {
		return givenBack{}, err
	}
	var fresh []Return
	for i, ret := range all {
		if _, wanted := restockable[ret.OrderID]; i >= len(r.Releases) && !wanted {
			continue
		}
		if _, ok := known[ret.OrderID]; ok {
			out.before = append(out.before, ret.OrderID)
			continue
		}
		known[ret.OrderID] = ret.Reason
		fresh = append(fresh, ret)
		if slices.Contains(neverTaken, ret.OrderID) {
			continue
		}
		addUnits(out.deltas, ret.Deltas)
		if i < len(r.Releases) { // The cancellation itself says what was restocked.
			out.holds = append(out.holds, ret.Hold)
		}
	}
	if err := insertReturns(ctx, tx, r.Epoch, fresh); err != nil {
		return givenBack{}, err
	}
	return out, markRestocked(ctx, tx, append(returnIDs(fresh), out.before...))
}

func returnIDs(returns []Return) []order.ID {
	out := make([]order.ID, len(returns))
	for i, r := range returns {
		out[i] = r.OrderID
	}
	return out
}

func addUnits(deltas map[order.SKU]int64, units []order.Delta) {
	for _, d := range units {
		deltas[d.SKU] += d.Units
	}
}

// returnedAmong returns those of the orders whose units are back, with the reason of their cancellation.
func returnedAmong(ctx context.Context, q querier, ids []order.ID) (map[order.ID]order.CancelReason, error) {
	out := make(map[order.ID]order.CancelReason)
	if len(ids) == 0 {
		return out, nil
	}
	err := each(ctx, q, "returned units", func(r scanner) error {
		var id order.ID
		var reason order.CancelReason
		err := r.Scan(append([]any{&id}, reasonFields(&reason)...)...)
		out[id] = withCode(reason)
		return err
	}, "SELECT order_id, "+reasonColumns+", reason FROM stock_returns WHERE order_id IN ("+marks(len(ids))+")", anys(ids)...)
	return out, err
}

// insertReturns records returns. A duplicate was inserted by another transaction since it was looked for.
func insertReturns(ctx context.Context, tx *ent.Client, epoch int64, returns []Return) error {
	if len(returns) == 0 {
		return nil
	}
	now := micro(time.Now())
	args := make([]any, 0, 8*len(returns))
	for _, r := range returns {
		args = append(append(args, r.OrderID, epoch, r.EntryID, now), reasonValues(r.Reason)...)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO stock_returns (order_id, epoch, entry_id, returned_at, "+reasonColumns+", reason) VALUES "+
		tuples(len(returns), "(?,?,?,?,?,?,?,?)"), args...); err != nil {
		return fmt.Errorf("record %d returns: %w", len(returns), raced(err))
	}
	return nil
}

// putAside returns those of the orders whose reservation is a dead letter that was not replayed. Their open dead letters are
// discarded: reservation and release cancel each other out, and a replay of the one would now take stock.
func (db *DB) putAside(ctx context.Context, tx *ent.Client, returns []Return) ([]order.ID, error) {
	letters, err := db.lockLetters(ctx, tx, returns)
	if err != nil {
		return nil, fmt.Errorf("read dead letters of reservations: %w", err)
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

// lockLetters reads the flusher's dead letters of the orders that were not replayed, and keeps them from being replayed meanwhile.
func (db *DB) lockLetters(ctx context.Context, tx *ent.Client, returns []Return) ([]FailedOrder, error) {
	args := []any{FlusherSource, LetterReplayed}
	for _, h := range returns {
		args = append(args, h.OrderID)
	}
	return collect(ctx, tx, "dead letters", func(r scanner) (f FailedOrder, err error) {
		err = r.Scan(&f.ID, &f.OrderID, &f.Status)
		return f, err
	}, "SELECT id, order_id, status FROM failed_orders WHERE source = ? AND status <> ? AND order_id IN ("+marks(len(returns))+") ORDER BY id"+db.forUpdate(), args...)
}
