package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/redisconn"
)

// Journal reads and trims the streams of one partition. It is safe for concurrent use.
type Journal struct {
	keys    Keys
	conn    *redisconn.Conn
	breaker Breaker
	scripts scripts
}

// Breaker guards the calls of workers, and bounds them.
type Breaker interface {
	breaker.Breaker
	// Timeout bounds one call, in addition to the time for which the call blocks.
	Timeout() time.Duration
}

// New makes a reader.
func New(keys Keys, conn *redisconn.Conn, b Breaker) *Journal {
	return &Journal{keys: keys, conn: conn, breaker: b, scripts: newScripts()}
}

// PoisonError is an entry that cannot be parsed. Entries after it are not affected.
type PoisonError struct {
	// ID is the id of the entry, Raw its fields, Err the cause.
	ID  string
	Raw map[string]string
	Err error
}

// Error returns the cause as text.
func (e *PoisonError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PoisonError) Unwrap() error { return e.Err }

// ErrTrimmed means that entries after the offset were trimmed away: another flusher applied them, or SQL lost commits.
var ErrTrimmed = errors.New("the journal is trimmed beyond the offset")

// Read returns up to count entries after the id, oldest first; none when there are none. At an entry that cannot be parsed it returns
// those before it, and a *PoisonError only if there are none before it. It returns ErrTrimmed rather than leave entries out.
func (j *Journal) Read(ctx context.Context, epoch int64, after string, count int64) ([]Entry, error) {
	replies, err := j.doMulti(ctx, 0, j.getTrimmed(epoch), j.rangeAfter(epoch, after, count))
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	if err := untrimmed(replies[0], after); err != nil {
		return nil, err
	}
	raw, err := replies[1].AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, redisconn.Unavailable(err)
	}
	return parseEntries(raw)
}

// rangeAfter reads entries. The reply may have some 10 MB: 1,000 orders of many lines. It is marked as blocking, although it is not, because
// rueidis sends blocking commands, and their pipelines, over connections of their own, which pass the same fence. On the connection of
// the hot path the replies of all orders would wait for it.
func (j *Journal) rangeAfter(epoch int64, after string, count int64) rueidis.Completed {
	return j.conn.Client().B().Arbitrary("XRANGE").Keys(j.keys.Journal(epoch)).
		Args("("+after, "+", "COUNT", strconv.FormatInt(count, 10)).Blocking()
}

// getTrimmed reads the id of the last entry that was trimmed away. It precedes the reading of entries in a pipeline.
func (j *Journal) getTrimmed(epoch int64) rueidis.Completed {
	return j.conn.Client().B().Get().Key(j.keys.Trimmed(epoch)).Build()
}

func untrimmed(r rueidis.RedisResult, after string) error {
	trimmed, err := r.ToString()
	switch {
	case rueidis.IsRedisNil(err):
		return nil
	case err != nil:
		return redisconn.Unavailable(err)
	case CompareIDs(trimmed, after) > 0:
		return fmt.Errorf("entries after %s up to %s are gone: %w", after, trimmed, ErrTrimmed)
	}
	return nil
}

// ReadRemaining is Read for a journal that is known to be trimmed: it returns the entries that are left.
func (j *Journal) ReadRemaining(ctx context.Context, epoch int64, after string, count int64) ([]Entry, error) {
	raw, err := j.do(ctx, j.rangeAfter(epoch, after, count), 0).AsXRange()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, redisconn.Unavailable(err)
	}
	return parseEntries(raw)
}

// Await is Read, blocking up to the given time for a first entry.
func (j *Journal) Await(ctx context.Context, epoch int64, after string, count int64, block time.Duration) ([]Entry, error) {
	c := j.conn.Client()
	key := j.keys.Journal(epoch)
	replies, err := j.doMulti(ctx, block, j.getTrimmed(epoch),
		c.B().Xread().Count(count).Block(block.Milliseconds()).Streams().Key(key).Id(after).Build())
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	if err := untrimmed(replies[0], after); err != nil {
		return nil, err
	}
	streams, err := replies[1].AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		return nil, redisconn.Unavailable(err)
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
		r = j.conn.Client().Do(ctx, cmd)
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
		replies = j.conn.Client().DoMulti(ctx, cmds...)
		return redisconn.NonRedisError(replies)
	})
	return replies, err
}

// guarded runs f under the breaker. f returns an error if Redis did not work; an error reply is none.
func guarded(ctx context.Context, b Breaker, block time.Duration, f func(ctx context.Context) error) error {
	return breaker.DoBlocking(ctx, b, b.Timeout(), block, f)
}

// Epochs lists the epochs with a journal that is not relayed to its end, oldest first.
func (j *Journal) Epochs(ctx context.Context) ([]int64, error) {
	return parseEpochs(j.do(ctx, listJournals(j.conn.Client(), j.keys), 0))
}

func listJournals(c rueidis.Client, keys Keys) rueidis.Completed {
	return c.B().Zrange().Key(keys.Journals()).Min("0").Max("-1").Build()
}

// parseEpochs reads the reply to listJournals.
func parseEpochs(r rueidis.RedisResult) ([]int64, error) {
	names, err := r.AsStrSlice()
	if err != nil {
		return nil, redisconn.Unavailable(err)
	}
	out := make([]int64, len(names))
	for i, n := range names {
		if out[i], err = strconv.ParseInt(n, 10, 64); err != nil {
			return nil, fmt.Errorf("epoch %q: %w", n, err)
		}
	}
	return out, nil
}
