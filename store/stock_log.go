package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// logAge is how long the log says whose stock was taken, at least: longer than an order's row may be on its way to SQL.
const logAge = 20 * time.Minute

// PruneDedupLog forgets all but the newest rows of the partition's log. It always keeps one, those that are young, and those of closed epochs whose lost
// orders have not all been found.
func (s *Stock) PruneDedupLog(ctx context.Context, partition uint8, keep int) error {
	return s.db.call(ctx, func(ctx context.Context) error { return s.pruneDedupLog(ctx, partition, keep) })
}

func (s *Stock) pruneDedupLog(ctx context.Context, partition uint8, keep int) error {
	var cut int64
	err := queryRow(ctx, s.db.ent, "SELECT id FROM stock_dedup_log WHERE partition_no = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
		partition, max(keep, 1)-1).Scan(&cut)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	// What is deleted of an epoch is its beginning, whatever several flushers' clocks say: a gap in the log is a violation.
	var young sql.NullInt64
	err = queryRow(ctx, s.db.ent, "SELECT MIN(id) FROM stock_dedup_log WHERE partition_no = ? AND applied_at >= ?",
		partition, micro(time.Now().Add(-logAge))).Scan(&young)
	if young.Valid {
		cut = min(cut, young.Int64)
	}
	if err == nil {
		_, err = s.db.ent.ExecContext(ctx, "DELETE FROM stock_dedup_log WHERE partition_no = ? AND id < ? AND epoch NOT IN "+
			"(SELECT epoch FROM stock_epochs WHERE partition_no = ? AND closed_at IS NOT NULL AND reconciled_at IS NULL)", partition, cut, partition)
	}
	return err
}
