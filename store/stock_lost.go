package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Unreconciled reads the partition's epochs that were closed before the time and whose lost orders were not looked for, oldest first.
func (s *Stock) Unreconciled(ctx context.Context, partition uint8, closedBefore time.Time) ([]journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]journal.Epoch, error) {
		return collect(ctx, s.db.ent, "closed epochs", scanEpoch,
			"SELECT "+epochColumns+" FROM stock_epochs WHERE partition_no = ? AND closed_at < ? AND reconciled_at IS NULL ORDER BY epoch",
			partition, micro(closedBefore))
	})
}

// Reconciled notes that the lost orders of a closed epoch have all been found.
func (s *Stock) Reconciled(ctx context.Context, partition uint8, epoch int64) error {
	return s.db.call(ctx, func(ctx context.Context) error {
		_, err := s.db.ent.ExecContext(ctx, "UPDATE stock_epochs SET reconciled_at = ? WHERE partition_no = ? AND epoch = ?", micro(time.Now()), partition, epoch)
		return err
	})
}

// lostPage is how many ranges of the log are read at once: 200 entries each are about 10 kB.
const lostPage = 100

// LostHolds returns the orders of a closed epoch whose stock SQL deducted and which nothing in SQL accounts for: they have no row, no
// cancellation and no open dead letter; or their row is CANCELLED, and their units, which return by an entry of the journal, never did.
// Units are what they hold, positive.
func (s *Stock) LostHolds(ctx context.Context, e journal.Epoch) ([]Hold, error) {
	held := make(map[order.ID]map[order.SKU]int64)
	for after := int64(0); ; {
		last, err := s.readHolds(ctx, e.Partition, e.Number, after, held)
		if err != nil {
			return nil, err
		}
		if last == after {
			break
		}
		after = last
	}
	maps.DeleteFunc(held, func(_ order.ID, units map[order.SKU]int64) bool { return len(taken(units)) == 0 })
	var out []Hold
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(held)), lostPage) {
		unknown, err := s.unknown(ctx, chunk)
		if err != nil {
			return nil, err
		}
		unreturned, err := s.unreturned(ctx, e, chunk)
		if err != nil {
			return nil, err
		}
		unitless, err := s.unitless(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, id := range slices.Concat(unknown, unreturned, unitless) {
			out = append(out, Hold{OrderID: id, Deltas: taken(held[id])})
		}
	}
	return out, nil
}

// unreturned returns those of the orders that are CANCELLED and whose units are not back. An epoch that does not record its durability
// is of a version that did not record returns: for it the dedup log shows them, as long as that is complete. Beyond that they are left
// to the audit, because units that return twice would be sold twice.
func (s *Stock) unreturned(ctx context.Context, e journal.Epoch, ids []order.ID) ([]order.ID, error) {
	if e.Durability == "" && time.Since(e.ClosedAt) > logAge {
		return nil, nil
	}
	return fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		return collect(ctx, s.db.ent, "cancelled orders that hold units", scanValue[order.ID], "SELECT id FROM orders o WHERE id IN ("+marks(len(ids))+") AND state = ? "+
			"AND NOT EXISTS (SELECT 1 FROM order_cancellations x WHERE x.order_id = o.id AND x.units <> '') "+
			"AND NOT EXISTS (SELECT 1 FROM stock_returns r WHERE r.order_id = o.id) "+
			"AND NOT EXISTS (SELECT 1 FROM failed_orders f WHERE f.order_id = o.id AND f.status = 'open') "+
			"AND NOT EXISTS (SELECT 1 FROM stock_dedup_log l WHERE l.partition_no = ? AND l.epoch > ? AND INSTR(l.orders, o.id) > 0) ORDER BY id",
			append(anys(ids), order.Cancelled, e.Partition, e.Number)...)
	})
}

// unitless are those of the orders without a row whose cancellation names no units: only their charge was known when it was written.
func (s *Stock) unitless(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		return collect(ctx, s.db.ent, "cancellations without units", scanValue[order.ID], "SELECT order_id FROM order_cancellations x WHERE order_id IN ("+
			marks(len(ids))+") AND units = '' AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = x.order_id) "+
			"AND NOT EXISTS (SELECT 1 FROM stock_returns r WHERE r.order_id = x.order_id) ORDER BY order_id", anys(ids)...)
	})
}

// readHolds adds up a page of the epoch's log and returns the id of its last row, or after when there is none.
func (s *Stock) readHolds(ctx context.Context, partition uint8, epoch, after int64, held map[order.ID]map[order.SKU]int64) (int64, error) {
	last := after
	err := s.db.call(ctx, func(ctx context.Context) error {
		return each(ctx, s.db.ent, fmt.Sprintf("the log of epoch %d", epoch), func(r scanner) error {
			var text sql.RawBytes
			if err := r.Scan(&last, &text); err != nil {
				return err
			}
			return addHolds(held, text)
		}, "SELECT id, orders FROM stock_dedup_log WHERE partition_no = ? AND epoch = ? AND id > ? ORDER BY id LIMIT ?", partition, epoch, after, lostPage)
	})
	return last, err
}

func addHolds(held map[order.ID]map[order.SKU]int64, text []byte) error {
	holds, err := ParseHolds(text)
	if err != nil {
		return err
	}
	for _, h := range holds {
		units := held[h.OrderID]
		if units == nil {
			units = make(map[order.SKU]int64)
			held[h.OrderID] = units
		}
		for _, d := range h.Deltas {
			units[d.SKU] -= d.Units
		}
	}
	return nil
}

// taken are the units that are still held.
func taken(units map[order.SKU]int64) []order.Delta {
	var out []order.Delta
	for _, sku := range slices.Sorted(maps.Keys(units)) {
		if units[sku] > 0 {
			out = append(out, order.Delta{SKU: sku, Units: units[sku]})
		}
	}
	return out
}

// unknown are those of the orders that nothing in SQL knows.
func (s *Stock) unknown(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	known, err := fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		in := "IN (" + marks(len(ids)) + ")"
		return collect(ctx, s.db.ent, "known orders", scanValue[order.ID], "SELECT id FROM orders WHERE id "+in+
			" UNION SELECT order_id FROM order_cancellations WHERE order_id "+in+
			" UNION SELECT order_id FROM failed_orders WHERE status = 'open' AND order_id "+in, slices.Concat(anys(ids), anys(ids), anys(ids))...)
	})
	return slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return slices.Contains(known, id) }), err
}

// LostCharges are up to limit charges that took money between the times, or may have taken it, for orders that nothing in SQL knows, oldest first.
func (c *Charges) LostCharges(ctx context.Context, from, to time.Time, limit int) ([]order.Charge, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Charge, error) {
		return collect(ctx, c.db.ent, "lost charges", scanCharge, "SELECT "+prefixed("c", chargeColumns)+" FROM charges c LEFT JOIN orders o ON o.id = c.order_id "+
			"LEFT JOIN order_cancellations x ON x.order_id = c.order_id LEFT JOIN failed_orders f ON f.order_id = c.order_id AND f.status = 'open' "+
			"WHERE c.state IN (?, ?) AND c.created_at >= ? AND c.created_at < ? AND o.id IS NULL AND x.order_id IS NULL AND f.id IS NULL ORDER BY c.created_at LIMIT ?",
			order.ChargeSucceeded, order.ChargePending, micro(from), micro(to), limit)
	})
}

// prefixed names the table of each column.
func prefixed(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}
