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
		// The journal's log does not tell of units that a cancellation gave back: that they are back is written in it itself.
		back := make(map[order.ID]units)
		err = b.view.Restocked(ctx, chunk, func(id order.ID, text string) {
			list, _ := order.ParseDeltas(text) // One that cannot be read has given nothing back, as far as anybody knows.
			back[id] = sumOf(list)
		})
		if err != nil {
			return err
		}
		for _, id := range chunk {
			row, ok := rows[id]
			if d, apart := b.differ(id, row, ok, back[id]); apart {
				b.apart = append(b.apart, d)
				if d.onItsWay {
					b.onTheirWay++
				}
			}
		}
	}
	return nil
}

func (b *books) differ(id order.ID, row store.Row, exists bool, back units) (difference, bool) {
	m := b.log.mentions[id]
	taken := units{}
	for _, u := range m.net {
		// An order that gave back more than the log saw it take took it before the log begins: it has nothing now.
		taken.add([]order.Delta{{SKU: u.SKU, Units: max(0, -u.Units-back[u.SKU])}}, 1)
	}
	has, says := units{}, "has no row"
	if exists {
		if says = "is " + row.State.String(); row.State != order.Cancelled {
			has = sumOf(row.Items)
		}
	}
	returning := sumOf(b.returning[id])
	ahead := maps.Clone(taken)
	ahead.add(has.list(), -1)
	ahead.add(returning.list(), -1)
	if len(ahead) == 0 {
		return difference{}, false
	}
	// Taken: the row follows, or the release of an order that SQL refused. Or given back: the row's state follows. An order that has a
	// cancellation says by it what is to come.
	_, cancelling := b.returning[id]
	gone := len(taken) > 0 && len(has) == 0
	released := len(taken) == 0 && exists && row.State == order.Pending
	return difference{
		id: id, ahead: ahead.list(), onItsWay: !cancelling && back == nil && (gone || released), late: m.last.Before(b.horizon.Since),
		detail: fmt.Sprintf("the journal says that it has taken %s; it %s, which accounts for %s and, on the way back, %s", taken, says, has, returning),
	}, true
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
