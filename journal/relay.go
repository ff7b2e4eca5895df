package journal

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/redisconn"
)

// group is the consumer group of the relay.
const group = "relay"

// Claim takes over up to count entries that a consumer received and did not acknowledge for minIdle: it died, or its send failed.
func (j *Journal) Claim(ctx context.Context, epoch int64, consumer string, minIdle time.Duration, count int64) ([]Entry, error) {
	c := j.conn.Client()
	// On a connection of its own: see rangeAfter.
	cmd := c.B().Arbitrary("XAUTOCLAIM").Keys(j.keys.Journal(epoch)).
		Args(group, consumer, strconv.FormatInt(minIdle.Milliseconds(), 10), StartID, "COUNT", strconv.FormatInt(count, 10)).Blocking()
	reply, err := j.do(ctx, cmd, 0).ToArray()
	if err != nil {
		return nil, j.noGroup(ctx, epoch, err)
	}
	raw, err := reply[1].AsXRange()
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	return received(raw), nil
}

// Release sets the idle time of entries that the consumer received and did not acknowledge, so that another one can claim them at once. Claim's minIdle
// is at most idle.
func (j *Journal) Release(ctx context.Context, epoch int64, consumer string, idle time.Duration, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	cmd := j.conn.Client().B().Arbitrary("XCLAIM").Keys(j.keys.Journal(epoch)).Args(group, consumer, "0").Args(ids...).
		Args("IDLE", strconv.FormatInt(idle.Milliseconds(), 10), "JUSTID").Build()
	if err := j.do(ctx, cmd, 0).Error(); err != nil {
		return redisconn.Unavailable(err)
	}
	return nil
}

// received parses the entries that a consumer received. All of them are pending for it: one that cannot be parsed is returned as
// Unreadable, so that the entries after it need not wait for a claim.
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

// Next receives up to count new entries for the consumer, blocking up to the given time for a first one. They are pending for it until
// Ack, or until another consumer claims them.
func (j *Journal) Next(ctx context.Context, epoch int64, consumer string, count int64, block time.Duration) ([]Entry, error) {
	c := j.conn.Client()
	key := j.keys.Journal(epoch)
	// On a connection of its own, whether it blocks or not: see rangeAfter.
	cmd := c.B().Arbitrary("XREADGROUP").Args("GROUP", group, consumer, "COUNT", strconv.FormatInt(count, 10), "STREAMS").Keys(key).Args(">").Blocking()
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

// noGroup creates the relay's consumer group, from the journal's beginning, if err is that it does not exist.
func (j *Journal) noGroup(ctx context.Context, epoch int64, err error) error {
	if re, ok := rueidis.IsRedisErr(err); !ok || !strings.HasPrefix(re.Error(), "NOGROUP") {
		return redisconn.Unavailable(err)
	}
	c := j.conn.Client()
	create := c.B().XgroupCreate().Key(j.keys.Journal(epoch)).Group(group).Id(StartID).Mkstream().Build()
	if err := j.do(ctx, create, 0).Error(); err != nil {
		if re, ok := rueidis.IsRedisErr(err); !ok || !re.IsBusyGroup() {
			return redisconn.Unavailable(err)
		}
	}
	return nil
}

// Relayed returns the id before which all entries are acknowledged. more is false when there is no entry beyond it.
func (j *Journal) Relayed(ctx context.Context, epoch int64) (id string, more bool, err error) {
	c := j.conn.Client()
	key := j.keys.Journal(epoch)
	replies, err := j.doMulti(ctx, 0,
		c.B().XinfoGroups().Key(key).Build(),
		c.B().Xpending().Key(key).Group(group).Build(),
		c.B().Xrevrange().Key(key).End("+").Start("-").Count(1).Build())
	if err != nil {
		return "", false, redisconn.Unavailable(err)
	}
	delivered, err1 := lastDelivered(replies[0])
	oldest, err2 := oldestPending(replies[1])
	last, err3 := replies[2].AsXRange()
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", false, redisconn.Unavailable(err)
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

// Remove deletes the journal of a closed epoch that was relayed to its end.
func (j *Journal) Remove(ctx context.Context, epoch int64) error {
	c := j.conn.Client()
	replies, err := j.doMulti(ctx, 0,
		c.B().Del().Key(j.keys.Journal(epoch), j.keys.Trimmed(epoch), j.keys.Sent(epoch), j.keys.Again(epoch), j.keys.Stock(epoch)).Build(),
		c.B().Zrem().Key(j.keys.Journals()).Member(strconv.FormatInt(epoch, 10)).Build())
	if err != nil {
		return redisconn.Unavailable(err)
	}
	for _, r := range replies {
		if err := r.Error(); err != nil {
			return redisconn.Unavailable(err)
		}
	}
	return nil
}
