package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// units maps SKUs to numbers of units. SKUs with none are absent.
type units map[order.SKU]int64

func (u units) add(more []order.Delta, times int64) {
	for _, m := range more {
		if u[m.SKU] += times * m.Units; u[m.SKU] == 0 {
			delete(u, m.SKU)
		}
	}
}

// String formats the units as the log of the journal does.
func (u units) String() string {
	if len(u) == 0 {
		return "nothing"
	}
	return order.FormatDeltas(u.list())
}

// list returns the units sorted by SKU.
func (u units) list() []order.Delta {
	out := make([]order.Delta, 0, len(u))
	for _, sku := range slices.Sorted(maps.Keys(u)) {
		out = append(out, order.Delta{SKU: sku, Units: u[sku]})
	}
	return out
}

func sumOf(list []order.Delta) units {
	u := make(units, len(list))
	u.add(list, 1)
	return u
}

// orderEntries is the content of the log of the journal about one order.
type orderEntries struct {
	// taken and returned are units, positive. returns are the ranges in which units returned.
	taken, returned []order.Delta
	returns         []entryRange
	// last is the time when the last of its entries was applied.
	last time.Time
}

// entryRange is a range of the journal of one epoch.
type entryRange struct {
	epoch       epochKey
	first, last string
}

// holds reports whether the entry is in the range.
func (s entryRange) holds(epoch int64, entry string) bool {
	return s.epoch.number == epoch && !precedes(entry, s.first) && !precedes(s.last, entry)
}

func (s entryRange) String() string { return fmt.Sprintf("%s to %s of %s", s.first, s.last, s.epoch) }

// add records an entry of the order in the given range.
func (m *orderEntries) add(deltas []order.Delta, in entryRange) {
	back := false
	for _, d := range deltas {
		switch {
		case d.Units < 0:
			m.taken = append(m.taken, order.Delta{SKU: d.SKU, Units: -d.Units})
		case d.Units > 0:
			m.returned = append(m.returned, d)
			back = true
		}
	}
	if back {
		m.returns = append(m.returns, in)
	}
}

// snapshot is the data that several rules use, read once.
type snapshot struct {
	view    *store.AuditView
	horizon store.Horizon
	// returning are the units of cancellations that are not yet back in stock; unreadable the violations of those that
	// cannot be parsed.
	returning  map[order.ID][]order.Delta
	unreadable []store.Violation
	log        journalLog
	epochs     []journal.Epoch
	// repeatedReturns are orders with units that returned more than once, or could do so again, by the log.
	repeatedReturns []store.Violation
	// counters reads Redis, and statement is the provider's; nil if the options have none.
	counters  Counters
	statement map[order.ID]StatementLine
	// differences are the orders of the log with a different row; inFlight is the number of those that may still
	// differ.
	differences []difference
	inFlight    int64
}

func readSnapshot(ctx context.Context, v *store.AuditView, h store.Horizon) (*snapshot, error) {
	b := &snapshot{view: v, horizon: h, returning: make(map[order.ID][]order.Delta)}
	err := v.Returning(ctx, func(id order.ID, text string) {
		list, err := order.ParseDeltas(text)
		if err != nil {
			b.unreadable = append(b.unreadable, store.Violation{OrderID: id, Detail: "its cancellation's units cannot be parsed: " + err.Error()})
		}
		b.returning[id] = list
	})
	if err != nil {
		return nil, err
	}
	if b.log, err = readLog(ctx, v); err != nil {
		return nil, err
	}
	if b.epochs, err = v.Epochs(ctx); err != nil {
		return nil, err
	}
	if err := b.compare(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// stockAddsUp checks that all adjustments of a SKU are on hand, in orders that hold or bought it, or returning from
// cancelled orders. While the shop is running, the stock may be ahead of the orders' rows by the units in flight.
func stockAddsUp(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	back, inFlight := units{}, units{}
	for _, list := range b.returning {
		back.add(list, 1)
	}
	if !b.horizon.Drained {
		for _, d := range b.differences {
			if d.inFlight {
				inFlight.add(d.ahead, 1)
			}
		}
	}
	var checked int64
	check := func(s store.Balance) {
		checked++
		missing := s.Adjusted - s.OnHand - s.Taken - back[s.SKU] - inFlight[s.SKU]
		if missing != 0 {
			report(store.Violation{SKU: s.SKU, Detail: fmt.Sprintf(
				"%d adjusted; %d on hand + %d in orders + %d returning + %d in flight = %d; %d %s",
				s.Adjusted, s.OnHand, s.Taken, back[s.SKU], inFlight[s.SKU], s.Adjusted-missing, max(missing, -missing), tooMany(missing))})
		}
		delete(back, s.SKU)
		delete(inFlight, s.SKU)
	}
	if err := b.view.Balances(ctx, check); err != nil {
		return 0, err
	}
	unknown := maps.Clone(back)
	maps.Copy(unknown, inFlight)
	for _, sku := range slices.Sorted(maps.Keys(unknown)) {
		check(store.Balance{SKU: sku})
	}
	return checked, nil
}

func tooMany(missing int64) string {
	if missing > 0 {
		return "are missing"
	}
	return "are too many"
}

// cancellationGivesBackAll compares the units of cancellations with the orders' items.
func cancellationGivesBackAll(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	checked := int64(len(b.unreadable))
	for _, f := range b.unreadable {
		report(f)
	}
	err := b.view.CancelledUnits(ctx, func(id order.ID, text string, items []order.Delta) {
		list, err := order.ParseDeltas(text)
		if err != nil {
			return // It is among the unreadable ones, or back in stock already.
		}
		checked++
		if gives, took := sumOf(list), sumOf(items); !maps.Equal(gives, took) {
			report(store.Violation{OrderID: id, Detail: fmt.Sprintf("its cancellation returns %s; the order took %s", gives, took)})
		}
	})
	return checked, err
}
