package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

// countersMatchSQL compares the counters in Redis with the stock in SQL that Redis gets. They are equal only after SQL has applied the
// whole journal, so the rule is checked only for a drained shop. A counter that is not loaded is correct.
func countersMatchSQL(ctx context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	i := slices.IndexFunc(b.epochs, func(e journal.Epoch) bool { return !e.Closed })
	if i < 0 {
		return 0, nil
	}
	epoch := b.epochs[i]
	if epoch.Mode == journal.ModeSQL {
		return 0, nil // It has no counters.
	}
	state, err := b.counters.Counters(ctx, epoch.Number)
	if err != nil {
		return 0, err
	}
	switch {
	case state.Epoch != epoch.Number:
		report(store.Violation{Detail: fmt.Sprintf("SQL's open epoch is %d, that of Redis is %d", epoch.Number, state.Epoch)})
		return 0, nil
	case state.LastID != "" && precedes(epoch.LastID, state.LastID):
		report(
			store.Violation{Detail: fmt.Sprintf("the journal ends at %s, and SQL has applied it up to %s: the counters cannot be compared", state.LastID, epoch.LastID)},
		)
		return 0, nil
	}
	onHand, err := b.view.ForRedis(ctx)
	if err != nil {
		return 0, err
	}
	for _, sku := range slices.Sorted(maps.Keys(state.Units)) {
		if n, known := onHand[sku]; !known || n != state.Units[sku] {
			report(store.Violation{SKU: sku, Detail: counterDetail(state.Units[sku], n, known)})
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
