package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Stock keeps what SQL knows of the stock: the units, the epochs, and how much of the journal is applied.
type Stock struct{ db *DB }

// NewStock makes the repository.
func NewStock(db *DB) *Stock { return &Stock{db: db} }

// Epoch is one life of the Redis data.
type Epoch struct {
	Partition uint8
	Number    int64
	// Instance is the Redis history on which it was opened: run_id and replication id.
	Instance string
	// LastID is the last journal entry that is applied.
	LastID   string
	OpenedAt time.Time
	// Closed says that a later epoch was opened: nothing of this one is applied any more.
	Closed bool
	// ClosedAt is when; zero while it is open.
	ClosedAt time.Time
	// Durability is what an answer promises in this epoch, DurabilityJournal or DurabilitySQL; empty when it was not recorded.
	Durability string
	// RecordsLostAt is when Redis last came back without data that SQL has; zero for never.
	RecordsLostAt time.Time
}

// The durability settings as stock_epochs records them.
const (
	DurabilityJournal = "journal"
	DurabilitySQL     = "sql"
)

// startID is the place before the first entry of a journal.
const startID = "0-0"

const epochColumns = "partition_no, epoch, run_id, last_id, opened_at, closed_at, durability, records_lost_at"

func scanEpoch(r scanner) (Epoch, error) {
	var e Epoch
	var closed, lost sql.NullTime
	if err := r.Scan(&e.Partition, &e.Number, &e.Instance, &e.LastID, &e.OpenedAt, &closed, &e.Durability, &lost); err != nil {
		return Epoch{}, err
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

func openEpoch(ctx context.Context, q querier, partition uint8) (Epoch, error) {
	e, err := scanEpoch(queryRow(ctx, q, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND closed_at IS NULL", partition))
	if errors.Is(err, sql.ErrNoRows) {
		return Epoch{}, ErrNoEpoch
	}
	return e, err
}

// OpenEpoch reads the open epoch; ErrNoEpoch when there was none yet.
func (s *Stock) OpenEpoch(ctx context.Context, partition uint8) (Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (Epoch, error) { return openEpoch(ctx, s.db.ent, partition) })
}

// EpochAt reads an epoch, open or closed; ErrNoEpoch when there is none of that number.
func (s *Stock) EpochAt(ctx context.Context, partition uint8, number int64) (Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (Epoch, error) {
		e, err := scanEpoch(queryRow(ctx, s.db.ent, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND epoch = ?", partition, number))
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNoEpoch
		}
		return e, err
	})
}

// CloseAndOpen closes the epoch `expect` (0 when there is none) and opens the next one as described by its Partition, Instance,
// Durability and RecordsLostAt, in one transaction. Of two callers one gets ErrEpochConflict, and so does one with another durability than the
// epoch's: it was changed since the caller read it.
func (s *Stock) CloseAndOpen(ctx context.Context, expect int64, next Epoch) (Epoch, error) {
	now := micro(time.Now())
	e := next
	e.Number, e.LastID, e.OpenedAt = expect+1, startID, now
	err := s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if expect > 0 {
			err := one(ErrEpochConflict)(tx.ExecContext(ctx,
				"UPDATE stock_epochs SET closed_at = ? WHERE partition_no = ? AND epoch = ? AND closed_at IS NULL AND durability IN ('', ?)",
				now, e.Partition, expect, e.Durability))
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO stock_epochs (partition_no, epoch, run_id, last_id, opened_at, durability, records_lost_at) VALUES (?,?,?,?,?,?,?)",
			e.Partition, e.Number, e.Instance, startID, now, e.Durability, nullTime(e.RecordsLostAt))
		if isDuplicate(err) {
			return ErrEpochConflict
		}
		return err
	})
	if err != nil {
		return Epoch{}, fmt.Errorf("open epoch %d of partition %d: %w", e.Number, e.Partition, err)
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
func (s *Stock) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (e Epoch, units map[order.SKU]int64, err error) {
	err = s.db.call(ctx, func(ctx context.Context) (err error) {
		e, units, err = s.snapshot(ctx, partition, skus)
		return err
	})
	return e, units, err
}

func (s *Stock) snapshot(ctx context.Context, partition uint8, skus []order.SKU) (Epoch, map[order.SKU]int64, error) {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.db.isMySQL() {
		opts.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.db.ent.BeginTx(ctx, opts)
	if err != nil {
		return Epoch{}, nil, err
	}
	defer func() { _ = tx.Rollback() }() // It only reads.
	e, err := openEpoch(ctx, tx.Client(), partition)
	if err != nil {
		return Epoch{}, nil, err
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

// Adjustment is a change of stock by hand.
type Adjustment struct {
	ID            string
	SKU           order.SKU
	Delta         int64
	Reason, Actor string
	At            time.Time
}

// FindAdjustment reads an adjustment; order.ErrNotFound when it was never made.
func (s *Stock) FindAdjustment(ctx context.Context, id string) (Adjustment, error) {
	a := Adjustment{ID: id}
	err := s.db.call(ctx, func(ctx context.Context) error {
		err := queryRow(ctx, s.db.ent, "SELECT sku, delta, reason, actor, created_at FROM stock_adjustments WHERE adjustment_id = ?", id).
			Scan(&a.SKU, &a.Delta, &a.Reason, &a.Actor, &a.At)
		if errors.Is(err, sql.ErrNoRows) {
			return order.ErrNotFound
		}
		return err
	})
	return a, err
}
