package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Range is a run of journal entries that is applied at once.
type Range struct {
	Partition uint8
	Epoch     int64
	// PrevID is the place from which the caller read on; FirstID and LastID are the first and last entry.
	PrevID, FirstID, LastID string
	Entries                 int
	// Durability is the caller's setting: a range is applied only in an epoch of the same one, or in one of an older version, which
	// recorded none and is only drained.
	Durability string
	// Deltas are the units of all entries but Releases, summed per SKU, adjustments included.
	Deltas map[order.SKU]int64
	// Releases are units that go back because an order was released. Those of an order whose reservation was put aside, and so never
	// taken, do not; and no order's units go back twice.
	Releases    []Return
	Adjustments []order.Adjustment
	// Restocks are units of cancelled orders that go back, once an order. They are not in Deltas.
	Restocks []Return
	// Holds are the units that the range took, an order each; they are logged with it, as are the releases that were applied.
	Holds []Hold
	// Changes are the orders to write in the same transaction (durability sql), or none.
	Changes []order.Event
}

// FlushRange applies a range in one transaction: it moves the place by compare-and-set, logs the range, changes the stock of
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

// content applies what the entries of a range say. It returns the units that were taken and given back, an order each.
func (s *Stock) content(ctx context.Context, tx *ent.Client, r Range) (Outcome, []Hold, error) {
	if err := s.adjust(ctx, tx, r.Adjustments); err != nil {
		return Outcome{}, nil, err
	}
	back, err := s.db.giveBack(ctx, tx, r)
	if err != nil {
		return Outcome{}, nil, err
	}
	if err := s.deduct(ctx, tx, back.deltas); err != nil {
		return Outcome{}, nil, err
	}
	out, err := s.db.applyOrders(ctx, tx, r.Changes)
	out.ReturnedBefore = back.before
	return out, slices.Concat(r.Holds, back.holds), err
}

// SkipEntry moves the place over one entry that cannot be applied, and puts it aside, in one transaction.
func (s *Stock) SkipEntry(ctx context.Context, r Range, f FailedOrder) error {
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
	err := one(ErrFlushConflict)(tx.ExecContext(ctx,
		"UPDATE stock_epochs SET last_id = ? WHERE partition_no = ? AND epoch = ? AND last_id = ? AND closed_at IS NULL AND durability IN ('', ?)",
		r.LastID, r.Partition, r.Epoch, r.PrevID, r.Durability))
	if err != nil {
		return fmt.Errorf("move the offset from %s to %s: %w", r.PrevID, r.LastID, err)
	}
	return nil
}

// logRange writes the range's row of the dedup log.
func (*Stock) logRange(ctx context.Context, tx *ent.Client, r Range, holds []Hold) error {
	var text any
	if len(holds) > 0 {
		text = FormatHolds(holds)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO stock_dedup_log (partition_no, epoch, prev_id, first_id, last_id, entries, applied_at, orders) VALUES (?,?,?,?,?,?,?,?)",
		r.Partition, r.Epoch, r.PrevID, r.FirstID, r.LastID, r.Entries, micro(time.Now()), text)
	if isDuplicate(err) {
		return ErrFlushConflict
	}
	return err
}

func (*Stock) adjust(ctx context.Context, tx *ent.Client, adjustments []order.Adjustment) error {
	for _, a := range adjustments {
		_, err := tx.ExecContext(ctx, "INSERT INTO stock_adjustments (adjustment_id, sku, delta, reason, actor, created_at) VALUES (?,?,?,?,?,?)",
			a.ID, a.SKU, a.Units, truncate(a.Reason, 200), truncate(a.Actor, 64), micro(a.At))
		if err != nil {
			return fmt.Errorf("adjustment %s: %w", a.ID, err)
		}
	}
	return nil
}

// deduct changes the stock of all SKUs in one statement. Every id in the IN list has its WHEN, or it would be set to NULL.
func (*Stock) deduct(ctx context.Context, tx *ent.Client, deltas map[order.SKU]int64) error {
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
