package store

import (
	"context"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/stockdeduplog"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/order"
)

// LogRow is a row of the dedup log: a range of journal entries that was applied.
type LogRow struct {
	ID        int64
	AppliedAt time.Time
	// Orders are those that the range took stock for or gave it back.
	Orders []order.ID
}

// ReadLog reads up to limit rows of the partition's log after the id, oldest first.
func (s *Stock) ReadLog(ctx context.Context, partition uint8, after int64, limit int) ([]LogRow, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]LogRow, error) {
		found, err := s.db.ent.StockDedupLog.Query().Where(stockdeduplog.PartitionNo(int16(partition)), stockdeduplog.IDGT(after)).
			Order(stockdeduplog.ByID()).Limit(limit).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the log of applied ranges: %w", err)
		}
		out := make([]LogRow, len(found))
		for i, f := range found {
			if out[i], err = toLogRow(f); err != nil {
				return nil, fmt.Errorf("read the log of applied ranges: %w", err)
			}
		}
		return out, nil
	})
}

func toLogRow(f *ent.StockDedupLog) (LogRow, error) {
	row := LogRow{ID: f.ID, AppliedAt: f.AppliedAt}
	if f.Orders == nil {
		return row, nil
	}
	holds, err := ParseHolds(*f.Orders)
	for _, h := range holds {
		row.Orders = append(row.Orders, h.OrderID)
	}
	return row, err
}

// logAge is how long the log keeps a range, at least: longer than an order's row may be on its way to SQL.
const logAge = 20 * time.Minute

// pruneChunk is how many rows of the log one statement deletes: some ms of MySQL, which holds the locks of the rows so long. The flusher
// prunes after every few ranges, so that more are due only after an epoch was reconciled, or when it was down.
const pruneChunk = 2000

// pruneChunks bounds the statements of one PruneDedupLog. The next one continues.
const pruneChunks = 50

// PruneDedupLog forgets all but the newest rows of the partition's log, up to 100,000 in one call. It always keeps one, those that are young, and
// those of closed epochs with lost orders that are not all found yet.
func (s *Stock) PruneDedupLog(ctx context.Context, partition uint8, keep int) error {
	cut, err := fetch(ctx, s.db, func(ctx context.Context) (int64, error) { return s.pruneCut(ctx, partition, keep) })
	if err != nil || cut == 0 {
		return err
	}
	for range pruneChunks {
		more, err := fetch(ctx, s.db, func(ctx context.Context) (bool, error) { return s.pruneBelow(ctx, partition, cut) })
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// pruneCut returns the id of the first row that stays, 0 if all do.
func (s *Stock) pruneCut(ctx context.Context, partition uint8, keep int) (int64, error) {
	ofPartition := stockdeduplog.PartitionNo(int16(partition))
	cut, err := s.db.ent.StockDedupLog.Query().Where(ofPartition).Order(ent.Desc(stockdeduplog.FieldID)).Offset(max(keep, 1) - 1).FirstID(ctx)
	if ent.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// What is deleted of an epoch is its beginning, whatever several flushers' clocks say: a gap in the log is a violation.
	young, err := s.db.ent.StockDedupLog.Query().Where(ofPartition, stockdeduplog.AppliedAtGTE(micro(time.Now().Add(-logAge)))).
		Order(stockdeduplog.ByID()).FirstID(ctx)
	switch {
	case err == nil:
		cut = min(cut, young)
	case !ent.IsNotFound(err):
		return 0, err
	}
	return cut, nil
}

// pruneBelow deletes the pruneChunk oldest of the rows below the cut, and reports whether more may be left.
func (s *Stock) pruneBelow(ctx context.Context, partition uint8, cut int64) (more bool, err error) {
	due := []predicate.StockDedupLog{
		stockdeduplog.PartitionNo(int16(partition)), stockdeduplog.IDLT(cut), stockdeduplog.Not(ofUnreconciledEpoch),
	}
	next, err := s.db.ent.StockDedupLog.Query().Where(due...).Order(stockdeduplog.ByID()).Offset(pruneChunk).FirstID(ctx)
	switch {
	case err == nil:
		more, due = true, append(due, stockdeduplog.IDLT(next))
	case !ent.IsNotFound(err):
		return false, err
	}
	_, err = s.db.ent.StockDedupLog.Delete().Where(due...).Exec(ctx)
	return more, err
}

// ofUnreconciledEpoch selects the rows of closed epochs that are not reconciled.
func ofUnreconciledEpoch(s *entsql.Selector) {
	epochs := entsql.Table(stockepoch.Table)
	s.Where(entsql.Exists(entsql.Dialect(s.Dialect()).Select(epochs.C(stockepoch.FieldEpoch)).From(epochs).Where(entsql.And(
		entsql.ColumnsEQ(epochs.C(stockepoch.FieldPartitionNo), s.C(stockdeduplog.FieldPartitionNo)),
		entsql.ColumnsEQ(epochs.C(stockepoch.FieldEpoch), s.C(stockdeduplog.FieldEpoch)),
		entsql.NotNull(epochs.C(stockepoch.FieldClosedAt)), entsql.IsNull(epochs.C(stockepoch.FieldReconciledAt)),
	))))
}
