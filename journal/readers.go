package journal

import (
	"context"
	"math"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/redisconn"
)

// Unread is how far a reader of a journal is behind.
type Unread struct {
	// Entries is the number of entries after the reader's offset. Above maxCounted it is estimated.
	Entries int64
	// Oldest is when the first of them was appended; zero if there is none.
	Oldest time.Time
}

// Readers is how far the readers of a partition's journals are behind.
type Readers struct {
	// Entries is the number of entries in the journals of all epochs.
	Entries int64
	// Flusher is about the journal of the flusher's epoch, Relay about those of all epochs.
	Flusher, Relay Unread
	// Relayed is the id of the newest epoch's last entry that the relay has read.
	Relayed string
}

// maxCounted bounds the entries that are read to count them: about 200 kB. Above it, the number is estimated from the times of the entries.
const maxCounted = 256

// Readers reads how far the flusher, which is at the offset, and the relay are behind. It needs neither: the backlog of a dead one is visible.
func (j *Journal) Readers(ctx context.Context, flushed Offset) (r Readers, err error) {
	epochs, err := j.Epochs(ctx)
	if err != nil {
		return r, err
	}
	for _, epoch := range epochs {
		s, err := j.stream(ctx, epoch)
		if err != nil {
			return r, err
		}
		r.Entries += s.length
		r.Relayed = s.delivered
		unsent, err := j.unread(ctx, epoch, s, s.unrelayed, maxCounted)
		if err != nil {
			return r, err
		}
		r.Relay.add(unsent)
		if epoch == flushed.Epoch {
			if r.Flusher, err = j.unread(ctx, epoch, s, "("+flushed.ID, maxCounted); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func (u *Unread) add(o Unread) {
	u.Entries += o.Entries
	if u.Oldest.IsZero() || !o.Oldest.IsZero() && o.Oldest.Before(u.Oldest) {
		u.Oldest = o.Oldest
	}
}

// stream describes the journal of one epoch.
type stream struct {
	length      int64
	first, last string // ids; empty if there is no entry
	// delivered is the last id that the relay has read, unrelayed the XRANGE start of what it has not acknowledged.
	delivered, unrelayed string
}

func (j *Journal) stream(ctx context.Context, epoch int64) (s stream, err error) {
	c, key := j.conn.Client(), j.keys.Journal(epoch)
	replies, err := j.doMulti(ctx, 0, c.B().Xlen().Key(key).Build(),
		c.B().Xrange().Key(key).Start("-").End("+").Count(1).Build(), c.B().Xrevrange().Key(key).End("+").Start("-").Count(1).Build(),
		c.B().XinfoGroups().Key(key).Build(), c.B().Xpending().Key(key).Group(group).Build())
	if err != nil {
		return s, redisconn.Unavailable(err)
	}
	if s.length, err = replies[0].AsInt64(); err != nil || s.length == 0 {
		return s, err
	}
	if s.first, err = firstID(replies[1]); err != nil {
		return s, redisconn.Unavailable(err)
	}
	if s.last, err = firstID(replies[2]); err != nil {
		return s, redisconn.Unavailable(err)
	}
	if s.delivered, err = lastDelivered(replies[3]); err != nil {
		return s, redisconn.Unavailable(err)
	}
	s.unrelayed = "(" + s.delivered
	if pending, err := oldestPending(replies[4]); err == nil && pending != "" { // An error: there has been no relay yet.
		s.unrelayed = pending
	}
	return s, nil
}

// firstID returns the id of the first entry; empty if there is none.
func firstID(r rueidis.RedisResult) (string, error) {
	entries, err := r.AsXRange()
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[0].ID, nil
}

// unread counts the entries from the XRANGE start on: up to count of them, and estimates their number if there are more.
func (j *Journal) unread(ctx context.Context, epoch int64, s stream, start string, count int64) (u Unread, err error) {
	if s.length == 0 {
		return u, nil
	}
	entries, err := j.do(ctx, j.conn.Client().B().Xrange().Key(j.keys.Journal(epoch)).Start(start).End("+").Count(count).Build(), 0).AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return u, redisconn.Unavailable(err)
	}
	if len(entries) == 0 {
		return u, nil
	}
	u.Entries, u.Oldest = int64(len(entries)), idTime(entries[0].ID)
	if u.Entries == count {
		u.Entries = max(s.estimate(u.Oldest), count)
	}
	return u, nil
}

// estimate returns about how many entries were appended since the time, as if entries were appended at a steady rate.
func (s stream) estimate(since time.Time) int64 {
	all, part := idTime(s.last).Sub(idTime(s.first)), idTime(s.last).Sub(since)
	if all <= 0 || part >= all {
		return s.length
	}
	return int64(math.Round(float64(s.length) * float64(part) / float64(all)))
}

// idTime returns when the entry with the id was appended, by the clock of Redis.
func idTime(id string) time.Time {
	ms, _ := splitID(id)
	return time.UnixMilli(int64(ms)) //nolint:gosec // Redis' clock is within int64.
}
