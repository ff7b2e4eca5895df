package journal

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/redisconn"
)

// Ack acknowledges entries that were sent.
func (j *Journal) Ack(ctx context.Context, epoch int64, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	highest := ids[0]
	for _, id := range ids {
		if CompareIDs(id, highest) > 0 {
			highest = id
		}
	}
	_, err := j.run(ctx, j.scripts.ack, []string{j.keys.Journal(epoch), j.keys.Sent(epoch)}, append([]string{group, highest}, ids...))
	return err
}

// Sent returns the highest id of an epoch's entries that the relay has sent; StartID if it has sent none. The relay sends only what is flushed: if SQL's
// offset, read after it, is lower, SQL has lost commits. The embedded Redis keeps no entries for that case.
func (j *Journal) Sent(ctx context.Context, epoch int64) (string, error) {
	return j.id(ctx, j.keys.Sent(epoch))
}

// SentBefore returns the highest id of an epoch's entries that the relay had sent when SQL lost commits: those up to it are sent again. It is StartID if
// SQL has lost none.
func (j *Journal) SentBefore(ctx context.Context, epoch int64) (string, error) {
	return j.id(ctx, j.keys.Again(epoch))
}

// id reads an entry's id; StartID if there is none, as in the embedded Redis, which is lost together with what SQL has not.
func (j *Journal) id(ctx context.Context, key string) (string, error) {
	if j.conn.Embedded() {
		return StartID, nil
	}
	id, err := j.do(ctx, j.conn.Client().B().Get().Key(key).Build(), 0).ToString()
	switch {
	case rueidis.IsRedisNil(err):
		return StartID, nil
	case err != nil:
		return "", redisconn.Unavailable(err)
	}
	return id, nil
}

// RelayAgain makes the relay send the entries that the journal still has again. It does nothing, and returns false, unless the offset, which SQL has now, is
// behind what was sent.
func (j *Journal) RelayAgain(ctx context.Context, epoch int64, offset string) (bool, error) {
	n, err := j.run(ctx, j.scripts.relayAgain, []string{j.keys.Journal(epoch), j.keys.Sent(epoch), j.keys.Again(epoch)}, []string{group, offset})
	return n > 0, err
}

// Trim removes the entries before the id, with which every reader must be done, and returns their number.
func (j *Journal) Trim(ctx context.Context, epoch int64, id string) (int64, error) {
	return j.run(ctx, j.scripts.trim, []string{j.keys.Journal(epoch), j.keys.Trimmed(epoch)}, []string{id})
}

// run runs a script that returns a number.
func (j *Journal) run(ctx context.Context, script *rueidis.Lua, keys, args []string) (int64, error) {
	var r rueidis.RedisResult
	err := guarded(ctx, j.breaker, 0, func(ctx context.Context) error {
		r = script.Exec(ctx, j.conn.Client(), keys, args)
		return r.NonRedisError()
	})
	if err != nil {
		return 0, redisconn.Unavailable(err)
	}
	n, err := r.AsInt64()
	if err != nil {
		return 0, redisconn.Unavailable(err)
	}
	return n, nil
}

// Lengths are the numbers of entries of an epoch's journal.
type Lengths struct{ of stream }

// Lengths reads them.
func (j *Journal) Lengths(ctx context.Context, epoch int64) (Lengths, error) {
	s, err := j.stream(ctx, epoch)
	return Lengths{s}, err
}

// All is the number of all entries.
func (l Lengths) All() int64 { return l.of.length }

// After estimates the number of entries after the id, as if they had been appended at a steady rate.
func (l Lengths) After(id string) int64 {
	if l.of.length == 0 || CompareIDs(id, l.of.last) >= 0 {
		return 0
	}
	return l.of.estimate(idTime(id))
}
