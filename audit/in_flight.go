package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// maxRowsPerQuery is the maximum number of orders that one query reads.
const maxRowsPerQuery = 500

// difference is an order with a row that differs from the log of the journal.
type difference struct {
	id order.ID
	// ahead is the number of units that are taken by the log and not by the row; negative for returned units.
	ahead []order.Delta
	// inFlight means that the row may still follow; late, that it should have followed by now.
	inFlight, late bool
	detail         string
}

// compare reads the row of each order in the log. The log is pruned, so it covers only recent orders; the rows of older
// ones were written long ago.
func (b *snapshot) compare(ctx context.Context) error {
	ids := slices.Sorted(maps.Keys(b.log.orders))
	for chunk := range slices.Chunk(ids, maxRowsPerQuery) {
		rows, err := b.view.Rows(ctx, chunk)
		if err != nil {
			return err
		}
		returns, err := b.view.Returns(ctx, chunk)
		if err != nil {
			return err
		}
		// The log does not contain units that a cancellation returned: their return is recorded in the cancellation itself.
		restocked := make(map[order.ID]units)
		err = b.view.Restocked(ctx, chunk, func(id order.ID, text string) {
			list, _ := order.ParseDeltas(text) // One that cannot be parsed has returned nothing, as far as is known.
			restocked[id] = sumOf(list)
		})
		if err != nil {
			return err
		}
		for _, id := range chunk {
			row, ok := rows[id]
			if d, differs := b.differ(id, row, ok, restocked[id]); differs {
				b.differences = append(b.differences, d)
				if d.inFlight {
					b.inFlight++
				}
			}
			b.checkReturns(id, returns)
		}
	}
	return nil
}

// differ compares the units that an order holds by the journal with its row. Nothing is clamped: an order that returned
// more than it took holds less than zero.
func (b *snapshot) differ(id order.ID, row store.Row, exists bool, restocked units) (difference, bool) {
	m := b.log.orders[id]
	has, state := units{}, "has no row"
	if exists {
		if state = "is " + row.State.String(); row.State != order.Cancelled {
			has = sumOf(row.Items)
		}
	}
	taken, held := m.holds(row, restocked)
	returning := sumOf(b.returning[id])
	ahead := maps.Clone(held)
	ahead.add(has.list(), -1)
	ahead.add(returning.list(), -1)
	if len(ahead) == 0 {
		return difference{}, false
	}
	// Taken: the row follows, or the release of an order that SQL rejected. Or returned: the row's state follows. The
	// cancellation of an order determines what follows.
	_, cancelling := b.returning[id]
	gone := len(has) == 0 && len(m.returns) == 0 && restocked == nil
	released := len(held) == 0 && exists && row.State == order.Pending
	return difference{
		id: id, ahead: ahead.list(), inFlight: !cancelling && (gone || released), late: m.last.Before(b.horizon.Since),
		detail: fmt.Sprintf("by the journal it took %s and holds %s; it %s, which accounts for %s and, returning, %s", taken, held, state, has, returning),
	}, true
}

// holds returns the units that an order took, and those of them that it still holds. If the log contains its return but
// not its reservation, the reservation is older than the log, and the row has the units that it took. A cancellation
// returned units by itself only if no release did.
func (m *orderEntries) holds(row store.Row, restocked units) (taken, held units) {
	taken = sumOf(m.taken)
	switch {
	case len(taken) == 0 && len(row.Items) > 0:
		taken = sumOf(row.Items)
	case len(taken) == 0:
		taken = sumOf(m.returned)
	}
	held = maps.Clone(taken)
	held.add(m.returned, -1)
	if len(m.returns) == 0 {
		held.add(restocked.list(), -1)
	}
	return taken, held
}

// rowMatchesJournal reports the orders with a row that differs from the journal and cannot follow, or should have
// followed.
func rowMatchesJournal(_ context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	for _, d := range b.differences {
		if b.horizon.Drained || !d.inFlight || d.late {
			report(store.Violation{OrderID: d.id, Detail: d.detail})
		}
	}
	return int64(len(b.log.orders)), nil
}
