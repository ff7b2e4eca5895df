package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Range is a run of journal entries that is applied at once.
type Range struct {
	Partition uint8
	Epoch     int64
	// PrevID is the offset from which the caller read on; FirstID and LastID are the first and last entry.
	PrevID, FirstID, LastID string
	Entries                 int
	// Durability is the caller's setting: a range is applied only in an epoch of the same one, or in one of an older version, which
	// recorded none and is only drained.
	Durability string
	// Deltas are the units of all entries but Releases, summed per SKU, adjustments included.
	Deltas map[order.SKU]int64
	// Releases are units that go back because an order was released. Those of an order with a reservation that is a dead letter, and so took none,
	// do not; and no order's units go back twice.
	Releases    []Return
	Adjustments []order.Adjustment
	// Restocks are units of cancelled orders that go back, once an order. They are not in Deltas.
	Restocks []Return
	// Holds are the units that the range took, an order each; they are logged with it, as are the releases that were applied.
	Holds []Hold
	// Changes are the orders to write in the same transaction (durability sql), or none.
	Changes []order.Event
}

// FlushRange applies a range in one transaction: it moves the offset by compare-and-set, logs the range, changes the stock of
// all SKUs in one UPDATE, and writes the orders. ErrFlushConflict means that another flusher applied it, or that the epoch is
// closed; an error for which IsRowError holds, that an entry of it cannot be applied. Either way nothing was done.
func (s *Stock) FlushRange(ctx context.Context, r Range) (Outcome, error) {
	var out Outcome
	err := s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		if err := s.advance(ctx, tx, r); err != nil {
			return err
		}
		var holds []Hold
		if out, holds, err = s.content(ctx, tx, r); err != nil {
			return err
		}
		return s.logRange(ctx, tx, r, holds)
	})
	return out, err
}

// content applies the entries of a range. It returns the units that were taken and given back, an order each.
func (s *Stock) content(ctx context.Context, tx *ent.Client, r Range) (Outcome, []Hold, error) {
	r, err := s.withoutMade(ctx, tx, r)
	if err != nil {
		return Outcome{}, nil, err
	}
	if err := s.adjust(ctx, tx, r.Adjustments); err != nil {
		return Outcome{}, nil, err
	}
	back, err := s.db.giveBack(ctx, tx, r)
	if err != nil {
		return Outcome{}, nil, err
	}
	if err := s.db.changeUnits(ctx, tx, unitsOnHand, back.deltas); err != nil {
		return Outcome{}, nil, err
	}
	out, err := s.db.applyOrders(ctx, tx, r.Changes)
	out.ReturnedBefore, out.NotCancelled = back.before, back.notCancelled
	return out, slices.Concat(r.Holds, back.holds), err
}

// SkipEntry moves the offset over one entry that cannot be applied, and makes it a dead letter, in one transaction.
func (s *Stock) SkipEntry(ctx context.Context, r Range, f DeadLetter) error {
	return s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if err := s.advance(ctx, tx, r); err != nil {
			return err
		}
		if err := s.logRange(ctx, tx, r, nil); err != nil {
			return err
		}
		return putDeadLetter(ctx, tx, f)
	})
}

func (*Stock) advance(ctx context.Context, tx *ent.Client, r Range) error {
	err := expectOneRow(ErrFlushConflict)(tx.StockEpoch.Update().Where(
		stockepoch.PartitionNo(int16(r.Partition)), stockepoch.Epoch(r.Epoch), stockepoch.LastID(r.PrevID),
		stockepoch.Or(stockepoch.ClosedAtIsNil(), stockepoch.Undrained(true)), stockepoch.Mode(string(journal.ModeRedis)), stockepoch.DurabilityIn("", r.Durability),
	).SetLastID(r.LastID).Save(ctx))
	if err != nil {
		return fmt.Errorf("move the offset from %s to %s: %w", r.PrevID, r.LastID, err)
	}
	return nil
}

// logRange writes the range's row of the dedup log.
func (*Stock) logRange(ctx context.Context, tx *ent.Client, r Range, holds []Hold) error {
	row := tx.StockDedupLog.Create().SetPartitionNo(int16(r.Partition)).SetEpoch(r.Epoch).SetPrevID(r.PrevID).SetFirstID(r.FirstID).
		SetLastID(r.LastID).SetEntries(r.Entries).SetAppliedAt(micro(time.Now()))
	if len(holds) > 0 {
		row.SetOrders(FormatHolds(holds))
	}
	err := row.Exec(ctx)
	if isDuplicate(err) {
		return ErrFlushConflict
	}
	return err
}
