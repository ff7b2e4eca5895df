package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// LogRow is a row of the dedup log: a range of journal entries that was applied.
type LogRow struct {
	ID        int64
	AppliedAt time.Time
	// Orders are those whose stock the range took or gave back.
	Orders []order.ID
}

// ReadLog reads up to limit rows of the partition's log after the id, oldest first.
func (s *Stock) ReadLog(ctx context.Context, partition uint8, after int64, limit int) ([]LogRow, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]LogRow, error) {
		return collect(ctx, s.db.ent, "the log of applied ranges", scanLogRow,
			"SELECT id, applied_at, orders FROM stock_dedup_log WHERE partition_no = ? AND id > ? ORDER BY id LIMIT ?", partition, after, limit)
	})
}

func scanLogRow(r scanner) (LogRow, error) {
	var row LogRow
	var text sql.RawBytes
	if err := r.Scan(&row.ID, &row.AppliedAt, &text); err != nil {
		return row, err
	}
	holds, err := ParseHolds(text)
	for _, h := range holds {
		row.Orders = append(row.Orders, h.OrderID)
	}
	return row, err
}

// Unknown returns those of the orders that nothing in SQL knows: no row, no cancellation, no open dead letter.
func (s *Stock) Unknown(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.unknown(ctx, ids)
}

// InState reads up to limit orders after the place that entered the state before the time, oldest first.
func (o *Orders) InState(ctx context.Context, state order.State, after Place, before time.Time, limit int) ([]Place, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]Place, error) {
		return collect(ctx, o.db.ent, fmt.Sprintf("orders that are %s", state), func(r scanner) (p Place, err error) {
			err = r.Scan(&p.At, &p.OrderID)
			p.At = p.At.UTC()
			return p, err
		}, "SELECT updated_at, id FROM orders WHERE state = ? AND updated_at >= ? AND updated_at < ? AND (updated_at > ? OR id > ?) ORDER BY updated_at, id LIMIT ?",
			state, micro(after.At), micro(before), micro(after.At), after.OrderID, limit)
	})
}

// Duplicates returns those of the orders that were cancelled because their key belongs to another order.
func (o *Orders) Duplicates(ctx context.Context, ids []order.ID) ([]Duplicate, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) ([]Duplicate, error) {
		var out []Duplicate
		err := each(ctx, o.db.ent, "duplicates", func(r scanner) error {
			var id order.ID
			var reason order.CancelReason
			err := r.Scan(append([]any{&id}, reasonFields(&reason)...)...)
			if reason = withCode(reason); reason.Code == order.CancelDuplicate {
				out = append(out, Duplicate{ID: id, Of: reason.DuplicateOf})
			}
			return err
		}, "SELECT id, "+reasonColumns+", cancel_reason FROM orders WHERE state = ? AND id IN ("+marks(len(ids))+")", append([]any{order.Cancelled}, anys(ids)...)...)
		return out, err
	})
}
