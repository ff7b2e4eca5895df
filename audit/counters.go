package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/store"
)

// countersMatchSQL compares Redis' counters with SQL's stock. They are the same only when SQL has applied all of the journal, so a drained
// shop is demanded, and only then the rule is checked. A counter that is not loaded is right.
func countersMatchSQL(ctx context.Context, b *books, flaw func(store.Flaw)) (int64, error) {
	i := slices.IndexFunc(b.epochs, func(e store.Epoch) bool { return !e.Closed })
	if i < 0 {
		return 0, nil
	}
	epoch := b.epochs[i]
	state, err := b.counters.Counters(ctx, epoch.Number)
	if err != nil {
		return 0, err
	}
	switch {
	case state.Epoch != epoch.Number:
		flaw(store.Flaw{Detail: fmt.Sprintf("SQL's open epoch is %d, that of Redis is %d", epoch.Number, state.Epoch)})
		return 0, nil
	case state.LastID != "" && precedes(epoch.LastID, state.LastID):
		flaw(store.Flaw{Detail: fmt.Sprintf("the journal ends at %s, and SQL has applied it up to %s: the counters cannot be compared", state.LastID, epoch.LastID)})
		return 0, nil
	}
	onHand, err := b.view.OnHand(ctx)
	if err != nil {
		return 0, err
	}
	for _, sku := range slices.Sorted(maps.Keys(state.Units)) {
		if n, known := onHand[sku]; !known || n != state.Units[sku] {
			flaw(store.Flaw{SKU: sku, Detail: counterDetail(state.Units[sku], n, known)})
		}
	}
	return int64(len(state.Units)), nil
}

func counterDetail(counter, onHand int64, known bool) string {
	if !known {
		return fmt.Sprintf("Redis has %d left of a product that SQL does not know", counter)
	}
	return fmt.Sprintf("Redis has %d left, SQL %d", counter, onHand)
}
