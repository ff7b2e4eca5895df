package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	// RunID is the Redis instance on which it was opened.
	RunID string
	// LastID is the last journal entry that is applied.
	LastID   string
	OpenedAt time.Time
	// Closed says that a later epoch was opened: nothing of this one is applied any more.
	Closed bool
	// ClosedAt is when; zero while it is open.
	ClosedAt time.Time
}

// startID is the place before the first entry of a journal.
const startID = "0-0"

const epochColumns = "partition_no, epoch, run_id, last_id, opened_at, closed_at"

func scanEpoch(r scanner) (Epoch, error) {
	var e Epoch
	var closed sql.NullTime
	if err := r.Scan(&e.Partition, &e.Number, &e.RunID, &e.LastID, &e.OpenedAt, &closed); err != nil {
		return Epoch{}, err
	}
	e.OpenedAt, e.Closed = e.OpenedAt.UTC(), closed.Valid
	if closed.Valid {
		e.ClosedAt = closed.Time.UTC()
	}
	return e, nil
}

func openEpoch(ctx context.Context, q querier, partition uint8) (Epoch, error) {
	e, err := scanEpoch(q.QueryRowContext(ctx, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND closed_at IS NULL", partition))
	if errors.Is(err, sql.ErrNoRows) {
		return Epoch{}, ErrNoEpoch
	}
	return e, err
}

// OpenEpoch reads the open epoch; ErrNoEpoch when there was none yet.
func (s *Stock) OpenEpoch(ctx context.Context, partition uint8) (Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (Epoch, error) { return openEpoch(ctx, s.db.sql, partition) })
}

// EpochAt reads an epoch, open or closed; ErrNoEpoch when there is none of that number.
func (s *Stock) EpochAt(ctx context.Context, partition uint8, number int64) (Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (Epoch, error) {
		e, err := scanEpoch(s.db.sql.QueryRowContext(ctx, "SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND epoch = ?", partition, number))
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNoEpoch
		}
		return e, err
	})
}

// CloseAndOpen closes the epoch `expect` (0 when there is none) and opens the next one, in one transaction. Of two callers
// one gets ErrEpochConflict.
func (s *Stock) CloseAndOpen(ctx context.Context, partition uint8, expect int64, runID string) (Epoch, error) {
	now := micro(time.Now())
	e := Epoch{Partition: partition, Number: expect + 1, RunID: runID, LastID: startID, OpenedAt: now}
	err := s.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if expect > 0 {
			err := one(ErrEpochConflict)(tx.ExecContext(ctx,
				"UPDATE stock_epochs SET closed_at = ? WHERE partition_no = ? AND epoch = ? AND closed_at IS NULL", now, partition, expect))
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO stock_epochs (partition_no, epoch, run_id, last_id, opened_at) VALUES (?,?,?,?,?)",
			partition, e.Number, runID, startID, now)
		if isDuplicate(err) {
			return ErrEpochConflict
		}
		return err
	})
	if err != nil {
		return Epoch{}, fmt.Errorf("open epoch %d of partition %d: %w", e.Number, partition, err)
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
	tx, err := s.db.sql.BeginTx(ctx, opts)
	if err != nil {
		return Epoch{}, nil, err
	}
	defer tx.Rollback()
	e, err := openEpoch(ctx, tx, partition)
	if err != nil {
		return Epoch{}, nil, err
	}
	units, err := unitsOf(ctx, tx, skus)
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
		err := s.db.sql.QueryRowContext(ctx, "SELECT sku, delta, reason, actor, created_at FROM stock_adjustments WHERE adjustment_id = ?", id).
			Scan(&a.SKU, &a.Delta, &a.Reason, &a.Actor, &a.At)
		if errors.Is(err, sql.ErrNoRows) {
			return order.ErrNotFound
		}
		return err
	})
	return a, err
}

// Range is a run of journal entries that is applied at once.
type Range struct {
	Partition uint8
	Epoch     int64
	// PrevID is the place from which the caller read on; FirstID and LastID are the first and last entry.
	PrevID, FirstID, LastID string
	Entries                 int
	// Deltas are the units of all entries but Releases, summed per SKU, adjustments included.
	Deltas map[order.SKU]int64
	// Releases are units that go back because an order was released. Those of an order whose reservation was put aside, and so never
	// taken, do not.
	Releases    []Hold
	Adjustments []Adjustment
	// Restocks are units of cancelled orders that go back, once an order. They are not in Deltas.
	Restocks []Hold
	// Holds say whose stock the range took or gave back; they are logged with it.
	Holds []Hold
	// Changes are the orders to write in the same transaction (durability sql), or none.
	Changes []Change
}

// FlushRange applies a range in one transaction: it moves the place by compare-and-set, logs the range, changes the stock of
// all SKUs in one UPDATE, and writes the orders. ErrFlushConflict means that another flusher applied it, or that the epoch is
// closed; an error for which IsRowError holds, that an entry of it cannot be applied. Either way nothing was done.
func (s *Stock) FlushRange(ctx context.Context, r Range) (Outcome, error) {
	var out Outcome
	err := s.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := s.advance(ctx, tx, r); err != nil {
			return err
		}
		out, err = s.content(ctx, tx, r)
		return err
	})
	return out, err
}

// content applies what the entries of a range say.
func (s *Stock) content(ctx context.Context, tx *sql.Tx, r Range) (Outcome, error) {
	if err := s.adjust(ctx, tx, r.Adjustments); err != nil {
		return Outcome{}, err
	}
	deltas, err := s.db.givenBack(ctx, tx, r)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.deduct(ctx, tx, deltas); err != nil {
		return Outcome{}, err
	}
	return s.db.applyOrders(ctx, tx, r.Changes)
}

// SkipEntry moves the place over one entry that cannot be applied, and puts it aside, in one transaction.
func (s *Stock) SkipEntry(ctx context.Context, r Range, f FailedOrder) error {
	return s.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.advance(ctx, tx, r); err != nil {
			return err
		}
		return s.db.putFailed(ctx, tx, f)
	})
}

func (*Stock) advance(ctx context.Context, tx *sql.Tx, r Range) error {
	err := one(ErrFlushConflict)(tx.ExecContext(ctx,
		"UPDATE stock_epochs SET last_id = ? WHERE partition_no = ? AND epoch = ? AND last_id = ? AND closed_at IS NULL",
		r.LastID, r.Partition, r.Epoch, r.PrevID))
	if err != nil {
		return fmt.Errorf("move the place from %s to %s: %w", r.PrevID, r.LastID, err)
	}
	var holds any
	if len(r.Holds) > 0 {
		holds = FormatHolds(r.Holds)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO stock_dedup_log (partition_no, epoch, first_id, last_id, entries, applied_at, orders) VALUES (?,?,?,?,?,?,?)",
		r.Partition, r.Epoch, r.FirstID, r.LastID, r.Entries, micro(time.Now()), holds)
	if isDuplicate(err) {
		return ErrFlushConflict
	}
	return err
}

func (*Stock) adjust(ctx context.Context, tx *sql.Tx, adjustments []Adjustment) error {
	for _, a := range adjustments {
		_, err := tx.ExecContext(ctx, "INSERT INTO stock_adjustments (adjustment_id, sku, delta, reason, actor, created_at) VALUES (?,?,?,?,?,?)",
			a.ID, a.SKU, a.Delta, clip(a.Reason, 200), clip(a.Actor, 64), micro(a.At))
		if err != nil {
			return fmt.Errorf("adjustment %s: %w", a.ID, err)
		}
	}
	return nil
}

// deduct changes the stock of all SKUs in one statement. Every id in the IN list has its WHEN, or it would be set to NULL.
func (*Stock) deduct(ctx context.Context, tx *sql.Tx, deltas map[order.SKU]int64) error {
	skus := slices.Sorted(maps.Keys(deltas))
	skus = slices.DeleteFunc(skus, func(sku order.SKU) bool { return deltas[sku] == 0 })
	if len(skus) == 0 {
		return nil
	}
	var when strings.Builder
	args := make([]any, 0, 3*len(skus)+1)
	for _, sku := range skus {
		when.WriteString(" WHEN ? THEN stock + ?")
		args = append(args, sku, deltas[sku])
	}
	args = append(args, micro(time.Now()))
	args = append(args, anys(skus)...)
	r, err := tx.ExecContext(ctx, "UPDATE products SET stock = CASE sku"+when.String()+" END, updated_at = ? WHERE sku IN ("+marks(len(skus))+")", args...)
	if err != nil {
		return fmt.Errorf("change the stock of %d SKUs: %w", len(skus), err)
	}
	if n, err := r.RowsAffected(); err != nil || n != int64(len(skus)) {
		return errors.Join(err, fmt.Errorf("%d of the SKUs %v exist: %w", n, skus, ErrUnknownSKU))
	}
	return nil
}

// logAge is how long the log says whose stock was taken, at least: longer than an order's row may be on its way to SQL.
const logAge = 20 * time.Minute

// PruneDedupLog forgets all but the newest rows of the partition's log. It always keeps one, those that are young, and those of closed epochs whose lost
// orders have not all been found.
func (s *Stock) PruneDedupLog(ctx context.Context, partition uint8, keep int) error {
	return s.db.call(ctx, func(ctx context.Context) error { return s.pruneDedupLog(ctx, partition, keep) })
}

func (s *Stock) pruneDedupLog(ctx context.Context, partition uint8, keep int) error {
	var cut int64
	err := s.db.sql.QueryRowContext(ctx, "SELECT id FROM stock_dedup_log WHERE partition_no = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
		partition, max(keep, 1)-1).Scan(&cut)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = s.db.sql.ExecContext(ctx, "DELETE FROM stock_dedup_log WHERE partition_no = ? AND id < ? AND applied_at < ? AND epoch NOT IN "+
			"(SELECT epoch FROM stock_epochs WHERE partition_no = ? AND closed_at IS NOT NULL AND reconciled_at IS NULL)",
			partition, cut, micro(time.Now().Add(-logAge)), partition)
	}
	return err
}
