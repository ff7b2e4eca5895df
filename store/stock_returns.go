package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/stockreturn"
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
	// holds are the releases that were applied; before are the orders of those that were not, because an earlier one was; notCancelled those of restocks
	// without a cancellation.
	holds                []Hold
	before, notCancelled []order.ID
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
	neverTaken, err := db.neverTaken(ctx, tx, all)
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
			out.notCancelled = append(out.notCancelled, ret.OrderID)
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
		if i < len(r.Releases) { // The cancellation itself has what was restocked.
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

// returnedAmong returns those of the orders with returned units, with the reason of their cancellation.
func returnedAmong(ctx context.Context, client *ent.Client, ids []order.ID) (map[order.ID]order.CancelReason, error) {
	out := make(map[order.ID]order.CancelReason)
	if len(ids) == 0 {
		return out, nil
	}
	found, err := client.StockReturn.Query().Where(stockreturn.IDIn(texts(ids)...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read returned units: %w", err)
	}
	for _, r := range found {
		out[order.ID(r.ID)] = toReason(r.CancelCode, r.DuplicateOf, r.DeclineCode, r.Reason)
	}
	return out, nil
}

// insertReturns records returns. A duplicate was inserted by another transaction since it was looked for.
func insertReturns(ctx context.Context, tx *ent.Client, epoch int64, returns []Return) error {
	if len(returns) == 0 {
		return nil
	}
	now := micro(time.Now())
	rows := make([]*ent.StockReturnCreate, len(returns))
	for i, r := range returns {
		rows[i] = setReason(tx.StockReturn.Create(), r.Reason).SetReason(truncate(r.Reason.Text, maxReason)).
			SetID(string(r.OrderID)).SetEpoch(epoch).SetEntryID(r.EntryID).SetReturnedAt(now)
	}
	if err := tx.StockReturn.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("record %d returns: %w", len(returns), raced(err))
	}
	return nil
}

// neverTaken returns those of the orders with a reservation that is a dead letter and was not replayed. Their open dead letters are
// discarded: reservation and release cancel each other out, and a replay of the one would now take stock.
func (db *DB) neverTaken(ctx context.Context, tx *ent.Client, returns []Return) ([]order.ID, error) {
	ids := convert(returns, func(r Return) string { return string(r.OrderID) })
	dead, err := locked(db, tx.DeadLetter.Query().
		Where(deadletter.Source(FlusherSource), deadletter.StatusNEQ(DeadLetterReplayed), deadletter.OrderIDIn(ids...)).Order(deadletter.ByID())).
		Select(deadletter.FieldID, deadletter.FieldOrderID, deadletter.FieldStatus).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read dead letters of reservations: %w", err)
	}
	out := make([]order.ID, len(dead))
	for i, d := range dead {
		out[i] = order.ID(d.OrderID)
		if d.Status != DeadLetterOpen {
			continue
		}
		by := DeadLetterAction{Action: ActionDiscarded, Actor: FlusherSource, Detail: "the order was released: nothing was taken, and nothing goes back"}
		if _, err := db.closeDeadLetter(ctx, tx, d.ID, DeadLetterDiscarded, nil, by); err != nil {
			return nil, err
		}
	}
	return out, nil
}
