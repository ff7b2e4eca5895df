package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Stock keeps what SQL knows of the stock: the units, the epochs, and how much of the journal is applied.
type Stock struct{ db *DB }

// NewStock makes the repository.
func NewStock(db *DB) *Stock { return &Stock{db: db} }

// The durability settings as stock_epochs records them.
const (
	DurabilityJournal = "journal"
	DurabilitySQL     = "sql"
)

const epochColumns = "partition_no, epoch, run_id, last_id, opened_at, closed_at, durability, records_lost_at"

func scanEpoch(r scanner) (journal.Epoch, error) {
	var e journal.Epoch
	var closed, lost sql.NullTime
	if err := r.Scan(&e.Partition, &e.Number, &e.Instance, &e.LastID, &e.OpenedAt, &closed, &e.Durability, &lost); err != nil {
		return journal.Epoch{}, err
	}
	e.OpenedAt, e.Closed = e.OpenedAt.UTC(), closed.Valid
	if closed.Valid {
		e.ClosedAt = closed.Time.UTC()
	}
	if lost.Valid {
		e.RecordsLostAt = lost.Time.UTC()
	}
	return e, nil
}

func openEpoch(ctx context.Context, q querier, partition uint8) (journal.Epoch, error) {
	e, err := scanEpoch(queryRow(ctx, q, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND closed_at IS NULL", partition))
	if errors.Is(err, sql.ErrNoRows) {
		return journal.Epoch{}, journal.ErrNoEpoch
	}
	return e, err
}

// OpenEpoch reads the open epoch; journal.ErrNoEpoch when there was none yet.
func (s *Stock) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (journal.Epoch, error) { return openEpoch(ctx, s.db.ent, partition) })
}

// EpochAt reads an epoch, open or closed; journal.ErrNoEpoch when there is none of that number.
func (s *Stock) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (journal.Epoch, error) {
		e, err := scanEpoch(queryRow(ctx, s.db.ent, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND epoch = ?", partition, number))
		if errors.Is(err, sql.ErrNoRows) {
			err = journal.ErrNoEpoch
		}
		return e, err
	})
}

// NextEpoch closes the epoch `expect` (0 when there is none) and opens the next one as described by its Partition, Instance,
// Durability and RecordsLostAt, in one transaction. Of two callers one gets journal.ErrEpochConflict, and so does one with another durability than the
// epoch's: it was changed since the caller read it.
func (s *Stock) NextEpoch(ctx context.Context, expect int64, next journal.Epoch) (journal.Epoch, error) {
	now := micro(time.Now())
	e := next
	e.Number, e.LastID, e.OpenedAt = expect+1, journal.StartID, now
	err := s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if expect > 0 {
			err := one(journal.ErrEpochConflict)(tx.ExecContext(ctx,
				"UPDATE stock_epochs SET closed_at = ? WHERE partition_no = ? AND epoch = ? AND closed_at IS NULL AND durability IN ('', ?)",
				now, e.Partition, expect, e.Durability))
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO stock_epochs (partition_no, epoch, run_id, last_id, opened_at, durability, records_lost_at) VALUES (?,?,?,?,?,?,?)",
			e.Partition, e.Number, e.Instance, journal.StartID, now, e.Durability, nullTime(e.RecordsLostAt))
		if isDuplicate(err) {
			return journal.ErrEpochConflict
		}
		return err
	})
	if err != nil {
		return journal.Epoch{}, fmt.Errorf("open epoch %d of partition %d: %w", e.Number, e.Partition, err)
	}
	return e, nil
}

// one checks that a statement matched exactly one row.
func one(otherwise error) func(sql.Result, error) error {
	return func(r sql.Result, err error) error {
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err == nil && n != 1 {
			return otherwise
		}
		return err
	}
}

// Snapshot reads the open epoch and the units of the SKUs at its place in the journal, in one consistent read. Unknown SKUs
// are absent.
func (s *Stock) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (e journal.Epoch, units map[order.SKU]int64, err error) {
	err = s.db.call(ctx, func(ctx context.Context) (err error) {
		e, units, err = s.snapshot(ctx, partition, skus)
		return err
	})
	return e, units, err
}

func (s *Stock) snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.db.isMySQL() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.db.ent.BeginTx(ctx, opts)
	if err != nil {
		return journal.Epoch{}, nil, err
	}
	defer func() { _ = tx.Rollback() }() // It only reads.
	e, err := openEpoch(ctx, tx.Client(), partition)
	if err != nil {
		return journal.Epoch{}, nil, err
	}
	units, err := unitsOf(ctx, tx.Client(), skus)
	return e, units, err
}

func unitsOf(ctx context.Context, q querier, skus []order.SKU) (map[order.SKU]int64, error) {
	out := make(map[order.SKU]int64, len(skus))
	if len(skus) == 0 {
		return out, nil
	}
	err := each(ctx, q, fmt.Sprintf("the stock of %d SKUs", len(skus)), func(r scanner) error {
		var sku order.SKU
		var n int64
		err := r.Scan(&sku, &n)
		out[sku] = n
		return err
	}, "SELECT sku, stock FROM products WHERE sku IN ("+marks(len(skus))+")", anys(skus)...)
	return out, err
}

// FindAdjustment reads an adjustment; order.ErrNotFound when it was never made.
func (s *Stock) FindAdjustment(ctx context.Context, id string) (order.Adjustment, error) {
	a := order.Adjustment{ID: id}
	err := s.db.call(ctx, func(ctx context.Context) error {
		err := queryRow(ctx, s.db.ent, "SELECT sku, delta, reason, actor, created_at FROM stock_adjustments WHERE adjustment_id = ?", id).
			Scan(&a.SKU, &a.Units, &a.Reason, &a.Actor, &a.At)
		if errors.Is(err, sql.ErrNoRows) {
			return order.ErrNotFound
		}
		return err
	})
	return a, err
}
