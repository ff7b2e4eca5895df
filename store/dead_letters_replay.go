package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/stockdeduplog"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// DuplicatesError means that orders came with the keys of other orders, so that money and stock must go back before the dead letter
// that carries them is closed. Nothing was done.
type DuplicatesError struct{ Duplicates []Duplicate }

// Error names the first of them.
func (e *DuplicatesError) Error() string {
	return fmt.Sprintf("%d orders have the idempotency keys of others, such as %s that of %s", len(e.Duplicates), e.Duplicates[0].ID, e.Duplicates[0].Of)
}

// ReplayEntry applies the journal entry of an open dead letter, as FlushRange would have done, and closes it in the same
// transaction: of two callers one applies it. The offset in the journal, which is long beyond it, stays. applied is false when
// it was replayed before.
//
// An error for which IsRowError holds means that SQL still cannot take it; a *DuplicatesError that duplicates must be undone
// first, after which the caller passes undone. An entry that changes stock gets order.ErrUnavailable while orders are taken in SQL.
func (s *Stock) ReplayEntry(ctx context.Context, letter DeadLetter, content Range, undone bool, by DeadLetterAction) (out Outcome, applied bool, err error) {
	by.Action = ActionReplayed
	err = s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		if err := s.stockMayChange(ctx, tx, content); err != nil {
			return err
		}
		if applied, err = s.db.closeDeadLetter(ctx, tx, letter.ID, DeadLetterReplayed, letter.Payload, by); err != nil || !applied {
			return err
		}
		var holds []Hold
		if out, holds, err = s.content(ctx, tx, content); err == nil && len(out.Duplicates) > 0 && !undone {
			err = &DuplicatesError{Duplicates: out.Duplicates}
		}
		if err != nil || len(holds) == 0 {
			return err
		}
		// The row of the log that was written when the entry was skipped gets the orders that it took stock for, if it is not pruned yet.
		return tx.StockDedupLog.Update().Where(stockdeduplog.PartitionNo(int16(content.Partition)), stockdeduplog.Epoch(content.Epoch),
			stockdeduplog.FirstID(content.FirstID)).SetOrders(FormatHolds(holds)).Exec(ctx)
	})
	if err != nil {
		return Outcome{}, false, err
	}
	return out, applied, nil
}

// stockMayChange returns order.ErrUnavailable if the entry changes stock and the open epoch is one with journal.ModeSQL: units that the entry takes may be sold
// already by the Redis that is unavailable, as SQL learns only when the closed epoch is drained. The lock of the epoch, which comes before all others as in the
// flusher, keeps one from being opened in SQL until the commit.
func (s *Stock) stockMayChange(ctx context.Context, tx *ent.Client, content Range) error {
	if len(content.Deltas)+len(content.Releases)+len(content.Restocks) == 0 {
		return nil
	}
	open, err := locked(s.db, tx.StockEpoch.Query().Where(
		stockepoch.PartitionNo(int16(content.Partition)), stockepoch.ClosedAtIsNil(),
	)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("lock the open epoch: %w", err)
	case journal.Mode(open.Mode) == journal.ModeSQL:
		return fmt.Errorf("orders are taken in SQL, because Redis is unavailable: an entry that changes stock is replayed when it is back: %w", order.ErrUnavailable)
	}
	return nil
}
