package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Journal reads and trims the streams of one partition.
type Journal struct {
	keys    Keys
	redis   *Redis
	breaker JournalBreaker
	scripts scripts
}

// JournalBreaker guards the calls of workers, and bounds them.
type JournalBreaker interface {
	Breaker
	// Timeout bounds one call, beyond the time for which it was asked to block.
	Timeout() time.Duration
}

// NewJournal makes a reader.
func NewJournal(keys Keys, redis *Redis, breaker JournalBreaker) *Journal {
	return &Journal{keys: keys, redis: redis, breaker: breaker, scripts: newScripts()}
}

// PoisonError is an entry that cannot be read. It costs only itself: ID says where it stands.
type PoisonError struct {
	ID  string
	Raw map[string]string
	Err error
}

// Error says why the entry cannot be read.
func (e *PoisonError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *PoisonError) Unwrap() error { return e.Err }

// Read returns up to count entries after the position, oldest first; none when there are none. When it meets an entry
// that it cannot read, it returns those before it, and a *PoisonError only if there are none before it.
func (j *Journal) Read(ctx context.Context, epoch int64, after string, count int64) ([]Entry, error) {
	c := j.redis.Client()
	cmd := c.B().Xrange().Key(j.keys.Journal(epoch)).Start("(" + after).End("+").Count(count).Build()
	raw, err := j.do(ctx, cmd, 0).AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, unavailable(err)
	}
	return parseEntries(raw)
}

// Await is Read, blocking up to the given time for a first entry.
func (j *Journal) Await(ctx context.Context, epoch int64, after string, count int64, block time.Duration) ([]Entry, error) {
	c := j.redis.Client()
	key := j.keys.Journal(epoch)
	cmd := c.B().Xread().Count(count).Block(block.Milliseconds()).Streams().Key(key).Id(after).Build()
	streams, err := j.do(ctx, cmd, block).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return parseEntries(streams[key])
}

func parseEntries(raw []rueidis.XRangeEntry) ([]Entry, error) {
	out := make([]Entry, 0, len(raw))
	for _, x := range raw {
		e, err := parseEntry(x)
		if err != nil {
			if len(out) > 0 {
				return out, nil
			}
			return nil, &PoisonError{ID: x.ID, Raw: x.FieldValues, Err: err}
		}
		out = append(out, e)
	}
	return out, nil
}

// do runs one command, which may block for a while, under the breaker.
func (j *Journal) do(ctx context.Context, cmd rueidis.Completed, block time.Duration) (r rueidis.RedisResult) {
	err := guarded(ctx, j.breaker, block, func(ctx context.Context) error {
		r = j.redis.Client().Do(ctx, cmd)
		return r.NonRedisError()
	})
	if err != nil && r.Error() == nil {
		r = rueidis.NewErrorResult(err)
	}
	return r
}

// doMulti runs commands in one pipeline, which may block for a while, under the breaker.
func (j *Journal) doMulti(ctx context.Context, block time.Duration, cmds ...rueidis.Completed) (replies []rueidis.RedisResult, err error) {
	err = guarded(ctx, j.breaker, block, func(ctx context.Context) error {
		replies = j.redis.Client().DoMulti(ctx, cmds...)
		for _, r := range replies {
			if err := r.NonRedisError(); err != nil {
				return err
			}
		}
		return nil
	})
	return replies, err
}

// guarded runs f under the breaker. What f returns is whether Redis worked, not what it answered.
func guarded(ctx context.Context, b JournalBreaker, block time.Duration, f func(ctx context.Context) error) error {
	if err := b.Permit(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, b.Timeout()+block)
	defer cancel()
	err := f(bounded)
	if err != nil && ctx.Err() != nil {
		b.Report(context.Canceled)
		return err
	}
	b.Report(err)
	return err
}

// Epochs lists the epochs whose journals are not relayed to their end, oldest first.
func (j *Journal) Epochs(ctx context.Context) ([]int64, error) {
	c := j.redis.Client()
	names, err := j.do(ctx, c.B().Zrange().Key(j.keys.Journals()).Min("0").Max("-1").Build(), 0).AsStrSlice()
	if err != nil {
		return nil, unavailable(err)
	}
	out := make([]int64, len(names))
	for i, n := range names {
		if out[i], err = strconv.ParseInt(n, 10, 64); err != nil {
			return nil, fmt.Errorf("epoch %q: %w", n, err)
		}
	}
	return out, nil
}

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
