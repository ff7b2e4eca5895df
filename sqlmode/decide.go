package sqlmode

import (
	"slices"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/store"
)

// reserve takes the units of the order, or of none of its lines. It checks what the reserve script checks, in the same sequence.
func (b *batch) reserve(s *step) error {
	id, err := b.checks.replay(s)
	if err != nil || id != "" {
		if id != s.order.ID {
			s.replay = id
		}
		return err
	}
	if err := b.checks.claimed(s); err != nil {
		return err
	}
	if err := b.checks.rate(s); err != nil {
		return err
	}
	want, err := demanded(s.reserve.Demand)
	if err != nil {
		return err
	}
	if err := b.missing(s.reserve.Demand, want); err != nil {
		return err
	}
	if err := b.checks.bought(s, want); err != nil {
		return err
	}
	if err := b.checks.unpaid(s, want, func(sku order.SKU) int64 { return b.mode.sellable(b.units[sku]) }); err != nil {
		return err
	}
	b.take(s, want)
	return nil
}

// take takes the units of an order that passed all checks.
func (b *batch) take(s *step, want map[order.SKU]int64) {
	hold := store.Hold{OrderID: s.order.ID}
	for _, d := range s.reserve.Demand {
		if n, first := want[d.SKU], !slices.ContainsFunc(hold.Deltas, func(h order.Delta) bool { return h.SKU == d.SKU }); first {
			b.change(d.SKU, -n)
			hold.Deltas = append(hold.Deltas, order.Delta{SKU: d.SKU, Units: -n})
		}
	}
	b.out.Holds = append(b.out.Holds, hold)
	b.out.Changes = append(b.out.Changes, order.Event{Order: s.order, To: order.Pending, At: s.order.CreatedAt, Trace: s.reserve.Trace})
	b.out.Entries++
	b.checks.placed(s, want)
}

// demanded sums the units of each SKU.
func demanded(demand []order.Demand) (map[order.SKU]int64, error) {
	want := make(map[order.SKU]int64, len(demand))
	for _, d := range demand {
		want[d.SKU] += int64(d.Quantity)
		if d.Quantity < 1 || want[d.SKU] > order.MaxQuantity {
			return nil, errQuantity
		}
	}
	return want, nil
}

// missing returns the refusal of an order of unknown SKUs, or of more units than there are.
func (b *batch) missing(demand []order.Demand, want map[order.SKU]int64) error {
	var short []order.Shortage
	seen := make(map[order.SKU]bool, len(want))
	for _, d := range demand {
		u, known := b.units[d.SKU]
		left := max(0, b.mode.sellable(u))
		switch {
		case !known:
			return order.ProductNotFound(d.SKU)
		case !seen[d.SKU] && left < want[d.SKU]:
			if !b.mode.sellsAll() && u.Stock >= want[d.SKU] {
				return &order.RetryError{After: redisconn.RetryAfter, Err: order.ReserveSoldOut(d.SKU)}
			}
			short = append(short, order.Shortage{SKU: d.SKU, Requested: want[d.SKU], Available: left})
		}
		seen[d.SKU] = true
	}
	if short != nil {
		return &order.SoldOutError{Shortages: short}
	}
	return nil
}

// settle changes a PENDING order to PAID.
func (b *batch) settle(s *step) error {
	o, found := b.orders[s.settle]
	switch {
	case !found:
		return order.ErrNotFound
	case o.Returned, o.State == order.Cancelled:
		return errCancelled
	case o.State == order.Pending:
		b.move(s.settle, order.Event{Order: order.Order{ID: s.settle}, To: order.Paid, At: b.mode.now()})
		b.out.Paid = append(b.out.Paid, s.settle)
	}
	return nil
}

// release changes a PENDING order to CANCELLED and gives its units back. The row of a duplicate is CANCELLED already; its units are given back here.
func (b *batch) release(s *step) error {
	o, found := b.orders[s.release]
	switch {
	case !found:
		return order.ErrNotFound
	case o.Returned:
		return nil
	case o.State == order.Pending:
		b.move(s.release, order.Event{Order: order.Order{ID: s.release}, To: order.Cancelled, At: b.mode.now(), Reason: s.reason})
	case o.State == order.Cancelled && o.Reason.Code == order.CancelDuplicate:
	case o.State == order.Cancelled: // Its cancellation returns the units.
		return nil
	default:
		return errPaid
	}
	b.giveBack(s, o)
	return nil
}

// giveBack returns the units of a released order. The store adds them to the stock, unless they were never taken, or returned before. To the reserve they
// return only if they surely come from it.
func (b *batch) giveBack(s *step, o store.SQLOrder) {
	if !b.mode.sellsAll() && b.mode.placed.has(s.epoch.Number, s.release) {
		for _, d := range o.Units {
			b.out.Reserve[d.SKU] += d.Units
		}
	}
	b.out.Releases = append(b.out.Releases, store.Return{
		Hold: store.Hold{OrderID: s.release, Deltas: o.Units}, EntryID: b.tx.EntryID(), Reason: s.reason,
	})
	b.out.Entries++
	o.Returned = true
	b.orders[s.release] = o
}

// move changes the state of an order for the rest of the batch.
func (b *batch) move(id order.ID, e order.Event) {
	o := b.orders[id]
	o.State, o.Reason = e.To, e.Reason
	b.orders[id] = o
	b.out.Changes = append(b.out.Changes, e)
	if e.To != order.Cancelled { // giveBack counts it.
		b.out.Entries++
	}
}

// restock returns the units of a cancelled order. The store does that once.
func (b *batch) restock(s *step) {
	s.restock.EntryID = b.tx.EntryID()
	b.out.Restocks = append(b.out.Restocks, *s.restock)
	b.out.Entries++
}

// adjust makes an adjustment that was not made before.
func (b *batch) adjust(s *step) error {
	a := *s.adjust
	u, known := b.units[a.SKU]
	if !known {
		return order.ProductNotFound(a.SKU)
	}
	if made, ok := b.adjusted[a.ID]; ok {
		s.left = u.Stock
		if made.SKU != a.SKU || made.Units != a.Units {
			return order.Refuse(order.ErrAlreadyExists, order.ReasonAdjustmentExists, "adjustment %s was made before with another SKU or delta", a.ID)
		}
		return nil
	}
	if u.Stock+a.Units < 0 {
		return &order.SoldOutError{Shortages: []order.Shortage{{SKU: a.SKU, Requested: -a.Units, Available: u.Stock}}}
	}
	b.change(a.SKU, a.Units)
	b.out.Adjustments = append(b.out.Adjustments, a)
	b.out.Entries++
	b.adjusted[a.ID] = order.Delta{SKU: a.SKU, Units: a.Units}
	s.left = b.units[a.SKU].Stock
	return nil
}
