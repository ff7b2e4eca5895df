package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent/deadletter"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/stockdeduplog"
	"github.com/spillway/spillway/ent/stockreturn"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// lostPage is how many ranges of the log are read at once: one of 1,000 entries has about 50 kB. It is also how many orders are looked up at once.
const lostPage = 100

// LostHolds returns the orders of a closed epoch that have their stock deducted and that nothing in SQL accounts for: they have no row, no
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

// unreturned returns those of the orders that are CANCELLED and have not returned their units. An epoch that does not record its durability
// is of a version that did not record returns: for it the dedup log shows them, as long as that is complete. Beyond that they are left
// to the audit, because units that return twice would be sold twice.
func (s *Stock) unreturned(ctx context.Context, e journal.Epoch, ids []order.ID) ([]order.ID, error) {
	if e.Durability == "" && time.Since(e.ClosedAt) > logAge {
		return nil, nil
	}
	return fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := s.db.ent.Order.Query().Where(
			entorder.IDIn(texts(ids)...), entorder.State(int8(order.Cancelled)), entorder.Not(hasUnitsToReturn), entorder.Not(hasReturn),
			entorder.Not(hasOpenDeadLetter), entorder.Not(isLoggedAfter(e)),
		).Order(entorder.ByID()).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read cancelled orders that hold units: %w", err)
		}
		return named[order.ID](found), nil
	})
}

// exists selects the rows to which the other table has a row of the same order, on which the further conditions hold.
func exists(s *entsql.Selector, table, orderColumn, ofColumn string, and ...func(t *entsql.SelectTable) *entsql.Predicate) {
	t := entsql.Table(table)
	conditions := []*entsql.Predicate{entsql.ColumnsEQ(t.C(orderColumn), s.C(ofColumn))}
	for _, c := range and {
		conditions = append(conditions, c(t))
	}
	s.Where(entsql.Exists(entsql.Dialect(s.Dialect()).Select(t.C(orderColumn)).From(t).Where(entsql.And(conditions...))))
}

func hasUnitsToReturn(s *entsql.Selector) {
	exists(s, ordercancellation.Table, ordercancellation.FieldID, entorder.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
		return entsql.NEQ(t.C(ordercancellation.FieldUnits), "")
	})
}

func hasReturn(s *entsql.Selector) {
	exists(s, stockreturn.Table, stockreturn.FieldID, entorder.FieldID)
}

func hasOpenDeadLetter(s *entsql.Selector) {
	exists(s, deadletter.Table, deadletter.FieldOrderID, entorder.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
		return entsql.EQ(t.C(deadletter.FieldStatus), DeadLetterOpen)
	})
}

// isLoggedAfter selects the orders that the log names in a later epoch of the partition.
func isLoggedAfter(e journal.Epoch) predicate.Order {
	return func(s *entsql.Selector) {
		t := entsql.Table(stockdeduplog.Table)
		names := entsql.P(func(b *entsql.Builder) {
			b.WriteString("INSTR(").Ident(t.C(stockdeduplog.FieldOrders)).WriteString(", ").Ident(s.C(entorder.FieldID)).WriteString(") > 0")
		})
		s.Where(entsql.Exists(entsql.Dialect(s.Dialect()).Select(t.C(stockdeduplog.FieldID)).From(t).Where(entsql.And(
			entsql.EQ(t.C(stockdeduplog.FieldPartitionNo), e.Partition), entsql.GT(t.C(stockdeduplog.FieldEpoch), e.Number), names))))
	}
}

// unitless are those of the orders without a row that have a cancellation without units: only their charge was known when it was written.
func (s *Stock) unitless(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := s.db.ent.OrderCancellation.Query().Where(
			ordercancellation.IDIn(texts(ids)...), ordercancellation.Units(""), ordercancellation.Not(unitsReturned),
			ordercancellation.Not(func(s *entsql.Selector) { exists(s, entorder.Table, entorder.FieldID, ordercancellation.FieldID) }),
		).Order(ordercancellation.ByID()).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read cancellations without units: %w", err)
		}
		return named[order.ID](found), nil
	})
}

// readHolds adds up a page of the epoch's log and returns the id of its last row, or after when there is none.
func (s *Stock) readHolds(ctx context.Context, partition uint8, epoch, after int64, held map[order.ID]map[order.SKU]int64) (int64, error) {
	last := after
	err := s.db.call(ctx, func(ctx context.Context) error {
		found, err := s.db.ent.StockDedupLog.Query().
			Where(stockdeduplog.PartitionNo(int16(partition)), stockdeduplog.Epoch(epoch), stockdeduplog.IDGT(after)).
			Order(stockdeduplog.ByID()).Limit(lostPage).Select(stockdeduplog.FieldID, stockdeduplog.FieldOrders).All(ctx)
		if err != nil {
			return fmt.Errorf("read the log of epoch %d: %w", epoch, err)
		}
		for _, f := range found {
			if last = f.ID; f.Orders == nil {
				continue
			}
			if err := addHolds(held, *f.Orders); err != nil {
				return fmt.Errorf("read the log of epoch %d: %w", epoch, err)
			}
		}
		return nil
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

// Unknown returns those of the orders that nothing in SQL knows: no row, no cancellation, no open dead letter.
func (s *Stock) Unknown(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.unknown(ctx, ids)
}

// unknown are those of the orders that nothing in SQL knows. The cancellations come first: the row of an order that was declared lost is
// written while its cancellation is there, and a dead letter is closed when its order has a row.
func (s *Stock) unknown(ctx context.Context, ids []order.ID) ([]order.ID, error) {
	known, err := fetch(ctx, s.db, func(ctx context.Context) ([]string, error) {
		cancelled, err := s.db.ent.OrderCancellation.Query().Where(ordercancellation.IDIn(texts(ids)...)).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read known orders: %w", err)
		}
		dead, err := s.db.ent.DeadLetter.Query().Where(deadletter.Status(DeadLetterOpen), deadletter.OrderIDIn(texts(ids)...)).
			Select(deadletter.FieldOrderID).Strings(ctx)
		if err != nil {
			return nil, fmt.Errorf("read known orders: %w", err)
		}
		rows, err := s.db.ent.Order.Query().Where(entorder.IDIn(texts(ids)...)).IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("read known orders: %w", err)
		}
		return slices.Concat(cancelled, dead, rows), nil
	})
	return slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return slices.Contains(known, string(id)) }), err
}

// Discarded returns those of the orders without a row or cancellation that have a discarded dead letter of one of the sources and no open one: an
// operator decided that they are not written.
func (s *Stock) Discarded(ctx context.Context, ids []order.ID, sources []string) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	discarded, err := fetch(ctx, s.db, func(ctx context.Context) ([]order.ID, error) {
		found, err := s.db.ent.DeadLetter.Query().
			Where(deadletter.Status(DeadLetterDiscarded), deadletter.SourceIn(sources...), deadletter.OrderIDIn(texts(ids)...)).
			Unique(true).Select(deadletter.FieldOrderID).Strings(ctx)
		if err != nil {
			return nil, fmt.Errorf("read discarded dead letters: %w", err)
		}
		return named[order.ID](found), nil
	})
	if err != nil {
		return nil, err
	}
	return s.Unknown(ctx, discarded)
}
