package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// logAgainAfter is how long after rows were written the log before them is read once more: several times as long as what a failover of SQL usually loses. The journal
// brings back rows of messages that were delivered, and the record in Redis those of others: it has no TTL before scanEnded finds the row.
const logAgainAfter = 10 * time.Second

// scanLog finds orders without a row of which the units were deducted longer than After ago.
func (r *OrderRepairer) scanLog(ctx context.Context, now time.Time) (int, bool, error) {
	if !r.againAt.IsZero() && !now.Before(r.againAt) {
		r.logID, r.againAt = r.again, time.Time{}
	}
	return r.pages(func() (int, bool, error) {
		rows, err := r.Stock.ReadLog(ctx, r.cfg.Partition, r.logID, r.cfg.LogPage)
		if err != nil {
			return 0, false, err
		}
		read := len(rows)
		// The log is read in the order of its ids. Rows after a young row wait for it, even if another process' clock dated them earlier.
		if young := slices.IndexFunc(rows, func(row store.LogRow) bool { return row.AppliedAt.After(now.Add(-r.cfg.After)) }); young >= 0 {
			rows = rows[:young]
		}
		n, err := r.repairLogged(ctx, rows)
		if n > 0 && r.againAt.IsZero() {
			r.again, r.againAt = r.logID, now.Add(logAgainAfter)
		}
		if err != nil || len(rows) == 0 {
			return n, false, err
		}
		r.logID = rows[len(rows)-1].ID
		return n, len(rows) == r.cfg.LogPage && read == len(rows), nil
	})
}

func (r *OrderRepairer) repairLogged(ctx context.Context, rows []store.LogRow) (int, error) {
	var ids []order.ID
	for _, row := range rows {
		ids = append(ids, row.Orders...)
	}
	slices.Sort(ids)
	total := 0
	for chunk := range slices.Chunk(slices.Compact(ids), r.cfg.Page) {
		unknown, err := r.Stock.Unknown(ctx, chunk)
		if err != nil {
			return total, err
		}
		n, err := r.repair(ctx, unknown, "log")
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// scanPending finds orders that have been PENDING in SQL for longer than After and are not in Redis.
func (r *OrderRepairer) scanPending(ctx context.Context, now time.Time) (int, bool, error) {
	return r.pages(func() (int, bool, error) {
		page, err := r.Orders.InState(ctx, order.Pending, r.pending, now.Add(-r.cfg.After), r.cfg.Page)
		if err != nil {
			return 0, false, err
		}
		n, err := r.repairPending(ctx, cursorIDs(page))
		if err != nil {
			return n, false, err
		}
		if len(page) < r.cfg.Page {
			r.pending = store.Cursor{} // The next iteration begins at the oldest again.
			return n, false, nil
		}
		r.pending = page[len(page)-1]
		return n, true, nil
	})
}

func (r *OrderRepairer) repairPending(ctx context.Context, ids []order.ID) (int, error) {
	if len(ids) == 0 {
		return 0, nil
	}
	states, err := r.Cache.States(ctx, ids)
	if err != nil {
		return 0, err
	}
	decided := slices.DeleteFunc(ids, func(id order.ID) bool { s, ok := states[id]; return !ok || s == order.Pending })
	dead, err := r.DeadLetters.OpenFor(ctx, decided)
	if err != nil {
		return 0, err
	}
	decided = slices.DeleteFunc(decided, func(id order.ID) bool { return slices.Contains(dead, id) })
	return r.repair(ctx, decided, "pending")
}

func cursorIDs(page []store.Cursor) []order.ID {
	out := make([]order.ID, len(page))
	for i, p := range page {
		out[i] = p.OrderID
	}
	return out
}

// repair writes the orders' states in Redis to SQL, and returns how many it wrote. scan is the kind of scan that found them. It sets no TTL of the records in Redis,
// which are needed again if SQL loses the commit: scanEnded does. It leaves orders that Redis does not have: the payment reconciler ends PENDING ones, and LostOrders those without a row, after their epoch is
// closed.
func (r *OrderRepairer) repair(ctx context.Context, ids []order.ID, scan string) (int, error) {
	var changes []order.Event
	epochs := make(map[int64]journal.Epoch)
	for _, id := range ids {
		rec, err := r.Cache.HotOrder(ctx, id)
		if errors.Is(err, order.ErrNotFound) {
			r.Log.ErrorContext(ctx, "order with deducted units is neither in SQL nor in Redis; lost-orders cancels it after its epoch is closed", "order_id", id)
			continue
		}
		if err != nil {
			return 0, err
		}
		c, ok, err := r.changeOf(ctx, id, rec, epochs)
		if err != nil {
			return 0, err
		}
		if ok {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return 0, nil
	}
	written, err := r.Writer.apply(ctx, changes)
	if err != nil {
		return 0, err
	}
	r.Log.WarnContext(ctx, "orders that the queue did not deliver were written to SQL from Redis",
		"scan", scan, "orders", len(written), "first", changes[0].Order.ID, "state", changes[0].To)
	return len(written), nil
}

// changeOf returns the change of a hot order. ok is false while its journal entry is not flushed: the relay would not have sent it
// either, and entries that were not flushed before their epoch was closed have no effect.
func (r *OrderRepairer) changeOf(ctx context.Context, id order.ID, rec stock.HotOrder, epochs map[int64]journal.Epoch) (c order.Event, ok bool, err error) {
	at := rec.Offset
	epoch, seen := epochs[at.Epoch]
	if !seen {
		epoch, err = r.Stock.EpochAt(ctx, r.cfg.Partition, at.Epoch)
		if err != nil && !errors.Is(err, journal.ErrNoEpoch) {
			return c, false, err
		}
		epochs[at.Epoch] = epoch
	}
	if journal.CompareIDs(epoch.LastID, at.ID) < 0 {
		return c, false, nil
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err == nil && o.ID != id {
		err = fmt.Errorf("it belongs to order %s", o.ID)
	}
	if err != nil {
		r.Log.ErrorContext(ctx, "the snapshot of a hot order cannot be read", "order_id", id, "error", err)
		return c, false, nil
	}
	return order.Event{
		Order: o, To: rec.State, At: rec.UpdatedAt, Reason: order.ParseCancelReason(rec.Reason), Trace: rec.Trace,
	}, true, nil
}
