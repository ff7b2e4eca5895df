package stock

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Group is the consumer group of the relay.
const group = "relay"

// Claim takes over entries that a reader received and did not acknowledge for minIdle: it died, or its send failed.
func (j *Journal) Claim(ctx context.Context, epoch int64, consumer string, minIdle time.Duration, count int64) ([]Entry, error) {
	c := j.redis.Client()
	cmd := c.B().Xautoclaim().Key(j.keys.Journal(epoch)).Group(group).Consumer(consumer).
		MinIdleTime(strconv.FormatInt(minIdle.Milliseconds(), 10)).Start(StartID).Count(count).Build()
	reply, err := j.do(ctx, cmd, 0).ToArray()
	if err != nil {
		return nil, j.noGroup(ctx, epoch, err)
	}
	raw, err := reply[1].AsXRange()
	if err != nil {
		return nil, unavailable(err)
	}
	return received(raw), nil
}

// received reads what a reader of the group was given, which is all its own: one that cannot be read is Unreadable, and those behind
// it are not left to wait until somebody claims them.
func received(raw []rueidis.XRangeEntry) []Entry {
	out := make([]Entry, len(raw))
	for i, x := range raw {
		e, err := parseEntry(x)
		if err != nil {
			e = Entry{ID: x.ID, Kind: Unreadable}
		}
		out[i] = e
	}
	return out
}

// Next receives new entries for the consumer, blocking up to the given time for a first one. They stay its own until
// Ack, or until another claims them.
func (j *Journal) Next(ctx context.Context, epoch int64, consumer string, count int64, block time.Duration) ([]Entry, error) {
	c := j.redis.Client()
	key := j.keys.Journal(epoch)
	start := c.B().Xreadgroup().Group(group, consumer).Count(count)
	cmd := start.Streams().Key(key).Id(">").Build()
	if block > 0 {
		cmd = c.B().Xreadgroup().Group(group, consumer).Count(count).Block(block.Milliseconds()).Streams().Key(key).Id(">").Build()
	}
	streams, err := j.do(ctx, cmd, block).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		return nil, j.noGroup(ctx, epoch, err)
	}
	return received(streams[key]), nil
}

// noGroup makes the relay's group when that was what failed: it reads from the journal's beginning.
func (j *Journal) noGroup(ctx context.Context, epoch int64, err error) error {
	if re, ok := rueidis.IsRedisErr(err); !ok || !strings.HasPrefix(re.Error(), "NOGROUP") {
		return unavailable(err)
	}
	c := j.redis.Client()
	create := c.B().XgroupCreate().Key(j.keys.Journal(epoch)).Group(group).Id(StartID).Mkstream().Build()
	if err := j.do(ctx, create, 0).Error(); err != nil {
		if re, ok := rueidis.IsRedisErr(err); !ok || !re.IsBusyGroup() {
			return unavailable(err)
		}
	}
	return nil
}

// Ack tells that the entries were handed on.
func (j *Journal) Ack(ctx context.Context, epoch int64, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	c := j.redis.Client()
	if err := j.do(ctx, c.B().Xack().Key(j.keys.Journal(epoch)).Group(group).Id(ids...).Build(), 0).Error(); err != nil {
		return unavailable(err)
	}
	return nil
}

// Relayed is the place up to which the relay is done: all entries before it are acknowledged. More is false when there
// is nothing beyond it.
func (j *Journal) Relayed(ctx context.Context, epoch int64) (id string, more bool, err error) {
	c := j.redis.Client()
	key := j.keys.Journal(epoch)
	replies, err := j.doMulti(ctx, 0,
		c.B().XinfoGroups().Key(key).Build(),
		c.B().Xpending().Key(key).Group(group).Build(),
		c.B().Xrevrange().Key(key).End("+").Start("-").Count(1).Build())
	if err != nil {
		return "", false, unavailable(err)
	}
	delivered, err1 := lastDelivered(replies[0])
	oldest, err2 := oldestPending(replies[1])
	last, err3 := replies[2].AsXRange()
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", false, unavailable(err)
	}
	if oldest != "" {
		return oldest, true, nil
	}
	return delivered, len(last) > 0 && CompareIDs(last[0].ID, delivered) > 0, nil
}

func lastDelivered(r rueidis.RedisResult) (string, error) {
	groups, err := r.ToArray()
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		fields, err := g.AsMap()
		if err != nil {
			return "", err
		}
		name, last := fields["name"], fields["last-delivered-id"]
		if n, _ := name.ToString(); n == group {
			return last.ToString()
		}
	}
	return StartID, nil
}

func oldestPending(r rueidis.RedisResult) (string, error) {
	fields, err := r.ToArray()
	if err != nil || len(fields) < 2 {
		return "", err
	}
	if n, err := fields[0].AsInt64(); err != nil || n == 0 {
		return "", err
	}
	return fields[1].ToString()
}

// Trim removes the entries before the id. The caller knows that every reader is done with them.
func (j *Journal) Trim(ctx context.Context, epoch int64, id string) (int64, error) {
	var r rueidis.RedisResult
	err := guarded(ctx, j.breaker, 0, func(ctx context.Context) error {
		r = j.scripts.trim.Exec(ctx, j.redis.Client(), []string{j.keys.Journal(epoch), j.keys.Trimmed(epoch)}, []string{id})
		return r.NonRedisError()
	})
	if err != nil {
		return 0, unavailable(err)
	}
	n, err := r.AsInt64()
	if err != nil {
		return 0, unavailable(err)
	}
	return n, nil
}

// Remove forgets the journal of a closed epoch that was relayed to its end.
func (j *Journal) Remove(ctx context.Context, epoch int64) error {
	c := j.redis.Client()
	replies, err := j.doMulti(ctx, 0,
		c.B().Del().Key(j.keys.Journal(epoch), j.keys.Trimmed(epoch), j.keys.Stock(epoch)).Build(),
		c.B().Zrem().Key(j.keys.Journals()).Member(strconv.FormatInt(epoch, 10)).Build())
	if err != nil {
		return unavailable(err)
	}
	for _, r := range replies {
		if err := r.Error(); err != nil {
			return unavailable(err)
		}
	}
	return nil
}
