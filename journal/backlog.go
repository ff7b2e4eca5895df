package journal

import (
	"context"
	"time"

	"github.com/spillway/spillway/redisconn"
)

// Backlog is what the journals of all epochs hold.
type Backlog struct {
	// Entries is their number; the relay trims those that it has relayed.
	Entries int64
	// Oldest is when the oldest entry was appended that is not relayed and acknowledged; zero if there is none.
	Oldest time.Time
}

// Backlog reads the backlog. It needs no relay: the backlog of a dead one is visible.
func (j *Journal) Backlog(ctx context.Context) (b Backlog, err error) {
	epochs, err := j.Epochs(ctx)
	if err != nil {
		return b, err
	}
	for _, epoch := range epochs {
		n, at, err := j.epochBacklog(ctx, epoch)
		if err != nil {
			return b, err
		}
		b.Entries += n
		if !at.IsZero() && (b.Oldest.IsZero() || at.Before(b.Oldest)) {
			b.Oldest = at
		}
	}
	return b, nil
}

func (j *Journal) epochBacklog(ctx context.Context, epoch int64) (entries int64, oldest time.Time, err error) {
	c, key := j.conn.Client(), j.keys.Journal(epoch)
	replies, err := j.doMulti(ctx, 0, c.B().Xlen().Key(key).Build(), c.B().XinfoGroups().Key(key).Build(),
		c.B().Xpending().Key(key).Group(group).Build())
	if err != nil {
		return 0, oldest, redisconn.Unavailable(err)
	}
	if entries, err = replies[0].AsInt64(); err != nil || entries == 0 {
		return 0, oldest, err
	}
	delivered, err := lastDelivered(replies[1])
	if err != nil {
		return 0, oldest, redisconn.Unavailable(err)
	}
	start := "(" + delivered
	if pending, err := oldestPending(replies[2]); err == nil && pending != "" { // An error: there has been no relay yet.
		start = pending
	}
	first, err := j.do(ctx, c.B().Xrange().Key(key).Start(start).End("+").Count(1).Build(), 0).AsXRange()
	if err != nil || len(first) == 0 {
		return entries, oldest, err
	}
	ms, _ := splitID(first[0].ID)
	return entries, time.UnixMilli(int64(ms)), nil //nolint:gosec // Redis' clock is within int64.
}
