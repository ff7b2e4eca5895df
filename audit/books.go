package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// units are numbers of units per SKU. SKUs with none are absent.
type units map[order.SKU]int64

func (u units) add(more []order.Delta, times int64) {
	for _, m := range more {
		if u[m.SKU] += times * m.Units; u[m.SKU] == 0 {
			delete(u, m.SKU)
		}
	}
}

// String lists them as the journal's log does.
func (u units) String() string {
	if len(u) == 0 {
		return "nothing"
	}
	return order.FormatDeltas(u.list())
}

// list is the units sorted by SKU.
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

// mention is what the journal's log says of one order.
type mention struct {
	// taken and returned are units, positive. returns are the ranges in which some returned.
	taken, returned []order.Delta
	returns         []span
	// last is when the last of its entries was applied.
	last time.Time
}

// span is a range of one epoch's journal.
type span struct {
	epoch       epochKey
	first, last string
}

// holds says whether the entry lies in the range.
func (s span) holds(epoch int64, entry string) bool {
	return s.epoch.number == epoch && !precedes(entry, s.first) && !precedes(s.last, entry)
}

func (s span) String() string { return fmt.Sprintf("%s to %s of %s", s.first, s.last, s.epoch) }

// add takes an entry of the order, in the given range.
func (m *mention) add(deltas []order.Delta, in span) {
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

// books is what several rules need, read once.
type books struct {
	view    *store.AuditView
	horizon store.Horizon
	// returning are the units of cancellations that are not back in stock yet; unreadable those that cannot be read.
	returning  map[order.ID][]order.Delta
	unreadable []store.Flaw
	log        journalLog
	epochs     []store.Epoch
	// twice are orders whose units returned more than once, or may again, by the log.
	twice []store.Flaw
	// counters is Redis, and statement what the provider says; nil where they are left out.
	counters  Counters
	statement map[order.ID]StatementLine
	// apart are the orders of the log whose row says something else; onTheirWay is how many of them may.
	apart      []difference
	onTheirWay int64
}

func readBooks(ctx context.Context, v *store.AuditView, h store.Horizon) (*books, error) {
	b := &books{view: v, horizon: h, returning: make(map[order.ID][]order.Delta)}
	err := v.Returning(ctx, func(id order.ID, text string) {
		list, err := order.ParseDeltas(text)
		if err != nil {
			b.unreadable = append(b.unreadable, store.Flaw{OrderID: id, Detail: "its cancellation's units cannot be read: " + err.Error()})
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

// stockAddsUp: what came in by hand is on hand, or in orders that hold or bought it, or on its way back from cancelled ones.
// While running, the stock may be ahead of orders' rows by what is in flight.
func stockAddsUp(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	back, flying := units{}, units{}
	for _, list := range b.returning {
		back.add(list, 1)
	}
	if !b.horizon.Drained {
		for _, d := range b.apart {
			if d.onItsWay {
				flying.add(d.ahead, 1)
			}
		}
	}
	var checked int64
	judge := func(s store.Balance) {
		checked++
		missing := s.Adjusted - s.OnHand - s.Taken - back[s.SKU] - flying[s.SKU]
		if missing != 0 {
			flaw(store.Flaw{SKU: s.SKU, Detail: fmt.Sprintf(
				"%d came in; %d on hand + %d in orders + %d on the way back + %d in flight = %d; %d %s",
				s.Adjusted, s.OnHand, s.Taken, back[s.SKU], flying[s.SKU], s.Adjusted-missing, max(missing, -missing), tooMany(missing))})
		}
		delete(back, s.SKU)
		delete(flying, s.SKU)
	}
	if err := b.view.Balances(ctx, judge); err != nil {
		return 0, err
	}
	unknown := maps.Clone(back)
	maps.Copy(unknown, flying)
	for _, sku := range slices.Sorted(maps.Keys(unknown)) {
		judge(store.Balance{SKU: sku})
	}
	return checked, nil
}

func tooMany(missing int64) string {
	if missing > 0 {
		return "are missing"
	}
	return "are too many"
}

// cancellationGivesBackAll compares what cancellations give back with the orders' items.
func cancellationGivesBackAll(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	checked := int64(len(b.unreadable))
	for _, f := range b.unreadable {
		flaw(f)
	}
	err := b.view.CancelledUnits(ctx, func(id order.ID, text string, items []order.Delta) {
		list, err := order.ParseDeltas(text)
		if err != nil {
			return // It is among the unreadable ones, or back in stock all the same.
		}
		checked++
		if gives, took := sumOf(list), sumOf(items); !maps.Equal(gives, took) {
			flaw(store.Flaw{OrderID: id, Detail: fmt.Sprintf("its cancellation gives back %s; the order took %s", gives, took)})
		}
	})
	return checked, err
}
