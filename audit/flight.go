package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// rowsAtOnce is how many orders' rows one query reads.
const rowsAtOnce = 500

// difference is an order whose row says something else than the journal's log.
type difference struct {
	id order.ID
	// ahead is what the log says is taken beyond what the row says; negative where it was given back.
	ahead []order.Delta
	// onItsWay: the row may still follow. late: it should have by now.
	onItsWay, late bool
	detail         string
}

// compare looks up the row of each order that the log mentions. The log is pruned, so this is about the recent ones only; the
// others must have been written long ago.
func (b *books) compare(ctx context.Context) error {
	ids := slices.Sorted(maps.Keys(b.log.mentions))
	for chunk := range slices.Chunk(ids, rowsAtOnce) {
		rows, err := b.view.Rows(ctx, chunk)
		if err != nil {
			return err
		}
		returns, err := b.view.Returns(ctx, chunk)
		if err != nil {
			return err
		}
		// The journal's log does not tell of units that a cancellation gave back: that they are back is written in it itself.
		restocked := make(map[order.ID]units)
		err = b.view.Restocked(ctx, chunk, func(id order.ID, text string) {
			list, _ := order.ParseDeltas(text) // One that cannot be read has given nothing back, as far as anybody knows.
			restocked[id] = sumOf(list)
		})
		if err != nil {
			return err
		}
		for _, id := range chunk {
			row, ok := rows[id]
			if d, apart := b.differ(id, row, ok, restocked[id]); apart {
				b.apart = append(b.apart, d)
				if d.onItsWay {
					b.onTheirWay++
				}
			}
			b.checkReturns(id, returns)
		}
	}
	return nil
}

// differ compares what the journal says that an order holds with its row. Nothing is clipped: an order that gave back more than it
// took holds less than nothing.
func (b *books) differ(id order.ID, row store.Row, exists bool, restocked units) (difference, bool) {
	m := b.log.mentions[id]
	has, says := units{}, "has no row"
	if exists {
		if says = "is " + row.State.String(); row.State != order.Cancelled {
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
	// Taken: the row follows, or the release of an order that SQL refused. Or given back: the row's state follows. An order that has a
	// cancellation says by it what is to come.
	_, cancelling := b.returning[id]
	gone := len(has) == 0 && len(m.returns) == 0 && restocked == nil
	released := len(held) == 0 && exists && row.State == order.Pending
	return difference{
		id: id, ahead: ahead.list(), onItsWay: !cancelling && (gone || released), late: m.last.Before(b.horizon.Since),
		detail: fmt.Sprintf("the journal says that it took %s and holds %s; it %s, which accounts for %s and, on the way back, %s", taken, held, says, has, returning),
	}, true
}

// holds returns what an order took, and what it holds of that. One that the log saw give units back, but not take them, took them before
// the log begins: then its row says what it took. A cancellation returned units by itself only if no release did.
func (m *mention) holds(row store.Row, restocked units) (taken, held units) {
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

// rowMatchesJournal names the orders whose row says something else than the journal, and cannot follow, or should have followed.
func rowMatchesJournal(_ context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	for _, d := range b.apart {
		if b.horizon.Drained || !d.onItsWay || d.late {
			flaw(store.Flaw{OrderID: d.id, Detail: d.detail})
		}
	}
	return int64(len(b.log.mentions)), nil
}
