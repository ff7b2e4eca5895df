package journal

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/rueidis"
)

// rewindBatch is how many entries are read and rewound at once.
const rewindBatch = 500

// rewind undoes what this Redis holds of entries that SQL never applied: the journals here of epochs that were closed in SQL by another
// Redis, beyond what was flushed of them. A Redis is in this state when it comes back after a failover to one that did not have all of
// its data. Its orders must not be settled, nor their stock given back: SQL never deducted it. It is called while no epoch is open here.
func (e *Epochs) rewind(ctx context.Context, c rueidis.Client, except ...int64) error {
	epochs, err := parseEpochs(c.Do(ctx, listJournals(c, e.cfg.Keys)))
	if err != nil {
		return fmt.Errorf("read the journals in Redis: %w", err)
	}
	for _, number := range epochs {
		if slices.Contains(except, number) { // It is drained next.
			continue
		}
		if err := e.rewindEpoch(ctx, c, number); err != nil {
			return fmt.Errorf("rewind epoch %d: %w", number, err)
		}
	}
	return nil
}

func (e *Epochs) rewindEpoch(ctx context.Context, c rueidis.Client, number int64) error {
	closed, err := e.cfg.Store.EpochAt(ctx, e.cfg.Keys.Partition, number)
	if err != nil {
		return err
	}
	for after := closed.LastID; ; {
		raw, err := c.Do(ctx, c.B().Xrange().Key(e.cfg.Keys.Journal(number)).Start("("+after).End("+").Count(rewindBatch).Build()).AsXRange()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		if len(raw) == 0 {
			return nil
		}
		if err := e.cfg.Rewind(ctx, c, readable(raw)); err != nil {
			return err
		}
		after = raw[len(raw)-1].ID
		e.cfg.Log.WarnContext(ctx, "rewound entries that were lost in a failover", "epoch", number, "entries", len(raw))
	}
}

// readable parses the entries and leaves out those that no script wrote: there is nothing to undo.
func readable(raw []rueidis.XRangeEntry) []Entry {
	out := make([]Entry, 0, len(raw))
	for _, x := range raw {
		if e, err := parseEntry(x); err == nil {
			out = append(out, e)
		}
	}
	return out
}
