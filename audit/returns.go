package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// checkReturns finds an order whose units returned more than once by the log and by stock_returns, or whose return is not recorded
// there, so that another one would be applied.
func (b *books) checkReturns(id order.ID, recorded map[order.ID]store.StockReturn) {
	m := b.log.mentions[id]
	r, known := recorded[id]
	flaw := func(format string, args ...any) {
		b.twice = append(b.twice, store.Flaw{OrderID: id, Detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case len(m.returns) == 0:
	case len(m.returns) > 1:
		flaw("its units returned %d times, the last two in the ranges %s and %s", len(m.returns), m.returns[len(m.returns)-2], m.returns[len(m.returns)-1])
	case !known && b.recordsReturns(m.returns[0].epoch):
		flaw("its units returned in the range %s, which is not recorded: they could return again", m.returns[0])
	case known && r.Epoch != 0 && !m.returns[0].holds(r.Epoch, r.EntryID):
		flaw("its units returned in the range %s, and by the entry %s of epoch %d", m.returns[0], r.EntryID, r.Epoch)
	}
}

// recordsReturns says whether the epoch is of a version that records returns: those record the durability too.
func (b *books) recordsReturns(key epochKey) bool {
	return slices.ContainsFunc(b.epochs, func(e store.Epoch) bool {
		return e.Partition == key.partition && e.Number == key.number && e.Durability != ""
	})
}

// unitsReturnOnce: the units of an order return at most once, which is recorded, and not while somebody has bought them.
func unitsReturnOnce(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	for _, f := range b.twice {
		flaw(f)
	}
	checked, err := b.view.ReturnedAndSold(ctx, flaw)
	if err != nil {
		return 0, err
	}
	_, err = b.view.UnrecordedRestocks(ctx, flaw)
	return checked, err
}
