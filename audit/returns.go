package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// checkReturns finds an order with units that returned more than once by the log and by stock_returns, or with a return
// that is not recorded there, so that it could be applied again.
func (b *snapshot) checkReturns(id order.ID, recorded map[order.ID]store.StockReturn) {
	m := b.log.orders[id]
	r, known := recorded[id]
	report := func(format string, args ...any) {
		b.repeatedReturns = append(b.repeatedReturns, store.Violation{OrderID: id, Detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case len(m.returns) == 0:
	case len(m.returns) > 1:
		report("its units returned %d times, the last two in the ranges %s and %s", len(m.returns), m.returns[len(m.returns)-2], m.returns[len(m.returns)-1])
	case !known && b.recordsReturns(m.returns[0].epoch):
		report("its units returned in the range %s, which is not recorded: they could return again", m.returns[0])
	case known && r.Epoch != 0 && !m.returns[0].holds(r.Epoch, r.EntryID):
		report("its units returned in the range %s, and by the entry %s of epoch %d", m.returns[0], r.EntryID, r.Epoch)
	}
}

// recordsReturns reports whether the epoch was opened by a version that records returns: those versions record the
// durability too.
func (b *snapshot) recordsReturns(key epochKey) bool {
	return slices.ContainsFunc(b.epochs, func(e journal.Epoch) bool {
		return e.Partition == key.partition && e.Number == key.number && e.Durability != ""
	})
}

// unitsReturnOnce checks that the units of an order return at most once, that the return is recorded, and that the
// order is not one that was paid.
func unitsReturnOnce(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	for _, f := range b.repeatedReturns {
		report(f)
	}
	checked, err := b.view.ReturnedAndSold(ctx, report)
	if err != nil {
		return 0, err
	}
	_, err = b.view.UnrecordedRestocks(ctx, report)
	return checked, err
}
