package stock

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

// rewindBatch is how many entries are read and rewound at once.
const rewindBatch = 500

// rewind undoes what this Redis remembers of entries that never happened: the journals here of epochs that were closed in SQL by
// another Redis, beyond what was flushed of them. A Redis is like that when it comes back after a failover to one that did not have
// all of its data. Its orders must not be settled, nor their stock given back: SQL never deducted it. It is called while no epoch is
// open here.
func (e *Epochs) rewind(ctx context.Context, c rueidis.Client, except int64) error {
	epochs, err := epochsIn(c.Do(ctx, listJournals(e.redis, e.keys)))
	if err != nil {
		return fmt.Errorf("read the journals in Redis: %w", err)
	}
	for _, number := range epochs {
		if number == except { // It is drained next.
			continue
		}
		if err := e.rewindEpoch(ctx, c, number); err != nil {
			return fmt.Errorf("rewind epoch %d: %w", number, err)
		}
	}
	return nil
}

func (e *Epochs) rewindEpoch(ctx context.Context, c rueidis.Client, number int64) error {
	closed, err := e.books.EpochAt(ctx, e.keys.Partition, number)
	if err != nil {
		return err
	}
	for after := closed.LastID; ; {
		raw, err := c.Do(ctx, c.B().Xrange().Key(e.keys.Journal(number)).Start("("+after).End("+").Count(rewindBatch).Build()).AsXRange()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if len(raw) == 0 {
			return nil
		}
		if err := e.rewindEntries(ctx, c, raw); err != nil {
			return err
		}
		after = raw[len(raw)-1].ID
		e.log.WarnContext(ctx, "this Redis held what was lost while another one had the shop", "epoch", number, "entries", len(raw))
	}
}

func (e *Epochs) rewindEntries(ctx context.Context, c rueidis.Client, raw []rueidis.XRangeEntry) error {
	calls, unpaid := make([]rueidis.LuaExec, 0, len(raw)), e.keys.Unpaid()
	for _, entry := range received(raw) {
		if entry.Kind == Unreadable {
			continue // No script wrote it, so there is nothing to undo.
		}
		calls = append(calls, rueidis.LuaExec{
			Keys: []string{
				e.keys.Order(entry.OrderID), e.keys.RolledBack(entry.OrderID), e.keys.Adjusted(entry.AdjustmentID), unpaid[0], unpaid[1], unpaid[2],
			},
			Args: []string{string(entry.Kind), entry.ID, string(entry.OrderID)},
		})
	}
	for _, r := range e.scripts.rewind.ExecMulti(ctx, c, calls...) {
		if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
	}
	return nil
}
