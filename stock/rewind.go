package stock

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Rewind returns the function that undoes what the scripts wrote beside the entries to hot orders, limits and adjustments, for
// journal.EpochsConfig.
func Rewind(of journal.Keys) func(ctx context.Context, c rueidis.Client, entries []journal.Entry) error {
	keys, script := Keys{of}, newScripts().rewind
	return func(ctx context.Context, c rueidis.Client, entries []journal.Entry) error {
		calls, unpaid := make([]rueidis.LuaExec, len(entries)), keys.Unpaid()
		for i, e := range entries {
			calls[i] = rueidis.LuaExec{
				Keys: []string{keys.Order(e.OrderID), keys.RolledBack(e.OrderID), keys.Adjusted(e.AdjustmentID), unpaid[0], unpaid[1], unpaid[2]},
				Args: []string{string(e.Kind), e.ID, string(e.OrderID), order.FormatDeltas(e.Deltas)},
			}
		}
		for _, r := range script.ExecMulti(ctx, c, calls...) {
			if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
				return err
			}
		}
		return nil
	}
}
