package stock

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// compare returns why Redis cannot go on in SQL's open epoch; empty when it can. Redis may be older than SQL although it has the
// epoch's key: a replica was promoted, or an older copy restored. Then its journal ends before SQL's offset. The mirror of it is a
// SQL that lost commits: its offset lies before what Redis has trimmed.
func (e *Epochs) compare(ctx context.Context, epoch Epoch, instance string) (why string, err error) {
	switch {
	case epoch.Number == 0:
		return "there was no epoch yet", nil
	case epoch.Instance != instance:
		return "redis was restarted, promoted or replaced", nil
	case epoch.Durability == "":
		return "the epoch does not record the durability setting", nil
	case e.isDistrusted(epoch.Number):
		return "redis contradicts SQL", nil
	}
	e.redis.Allow(instance)
	if e.redis.cfg.Embedded {
		return e.compareEmbedded(ctx, epoch.Number)
	}
	in, err := e.inRedis(ctx, epoch.Number)
	switch {
	case err != nil:
		return "", err
	case in.epoch != strconv.FormatInt(epoch.Number, 10):
		return "redis was wiped, or another process opens an epoch", nil
	case CompareIDs(in.lastID, epoch.LastID) < 0:
		return fmt.Sprintf("redis went back in time: its journal ends at %s, and SQL has applied it up to %s", in.lastID, epoch.LastID), nil
	case CompareIDs(in.trimmed, epoch.LastID) > 0:
		return e.compareTrimmed(ctx, epoch.Number, in.trimmed)
	}
	return "", nil
}

// compareTrimmed is compare for a journal that is trimmed beyond the offset that was read before. The offset is read once more: it may have
// moved on meanwhile, and the trimming followed.
func (e *Epochs) compareTrimmed(ctx context.Context, number int64, trimmed string) (why string, err error) {
	epoch, err := e.books.EpochAt(ctx, e.keys.Partition, number)
	if err != nil || CompareIDs(trimmed, epoch.LastID) <= 0 {
		return "", err
	}
	return fmt.Sprintf("SQL lost commits: it has applied the journal up to %s, and entries before %s, which it had applied, are trimmed", epoch.LastID, trimmed), nil
}

// compareEmbedded is compare for the Redis in this process, which loses all of its data or nothing.
func (e *Epochs) compareEmbedded(ctx context.Context, number int64) (why string, err error) {
	c := e.redis.Client()
	held, err := c.Do(ctx, c.B().Get().Key(e.keys.Epoch()).Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", fmt.Errorf("read the epoch in Redis: %w", err)
	}
	if held != strconv.FormatInt(number, 10) {
		return "the embedded Redis is new", nil
	}
	return "", nil
}

// redisEpoch is what Redis holds of an epoch.
type redisEpoch struct {
	// epoch is the value of the epoch key; lastID the id that the journal generated last; trimmed the id below which it was trimmed.
	epoch, lastID, trimmed string
}

func (e *Epochs) inRedis(ctx context.Context, number int64) (in redisEpoch, err error) {
	c := e.redis.Client()
	replies := c.DoMulti(ctx,
		c.B().Get().Key(e.keys.Epoch()).Build(),
		c.B().Get().Key(e.keys.Trimmed(number)).Build(),
		c.B().XinfoStream().Key(e.keys.Journal(number)).Build())
	for i, into := range []*string{&in.epoch, &in.trimmed} {
		if *into, err = replies[i].ToString(); err != nil && !rueidis.IsRedisNil(err) {
			return in, fmt.Errorf("read the epoch in Redis: %w", err)
		}
	}
	in.lastID, err = lastGenerated(replies[2])
	return in, err
}

// lastGenerated reads the reply to XINFO STREAM. A stream without an entry yet does not exist.
func lastGenerated(r rueidis.RedisResult) (string, error) {
	info, err := r.AsMap()
	if re, ok := rueidis.IsRedisErr(err); ok && strings.Contains(re.Error(), "no such key") {
		return StartID, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the journal's last id: %w", err)
	}
	last := info["last-generated-id"]
	id, err := last.ToString()
	if err != nil {
		return "", fmt.Errorf("read the journal's last id: %w", err)
	}
	return id, nil
}

// Distrust makes the next check close the epoch and rebuild the counters from SQL, because Redis and SQL contradict each other.
func (e *Epochs) Distrust(epoch int64) {
	e.mu.Lock()
	e.distrusted = epoch
	e.mu.Unlock()
	e.Suspect()
}

func (e *Epochs) isDistrusted(epoch int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.distrusted == epoch
}

// found notes, for the epoch that is closed just now, whether Redis lost data that SQL has. It lost none if it still held the
// epoch's key and a journal that reaches SQL's offset: the data of one history is a prefix of it, so everything before is there too.
// After a crash of the process that closed it nobody knows, which counts as a loss.
func (e *Epochs) found(old Epoch, before, lastID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.lost[old.Number]; known && strings.HasPrefix(before, "rebuild:"+e.token+":") {
		return // It was closed by this process, in an attempt that failed later.
	}
	maps.DeleteFunc(e.lost, func(number int64, _ bool) bool { return number < old.Number })
	e.lost[old.Number] = before != strconv.FormatInt(old.Number, 10) || CompareIDs(lastID, old.LastID) < 0
}

// drained notes, for the epoch whose journal ended at the id, that Redis lost data after all if SQL has more by now: a flusher had read it
// from the Redis of before, and committed it since SQL's offset was compared.
func (e *Epochs) drained(ctx context.Context, number int64, end string) error {
	epoch, err := e.books.EpochAt(ctx, e.keys.Partition, number)
	if err != nil {
		return fmt.Errorf("read the offset of epoch %d: %w", number, err)
	}
	if CompareIDs(end, epoch.LastID) < 0 {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.lost[number] = true
	}
	return nil
}

// following describes the epoch after the one that is closed.
func (e *Epochs) following(old Epoch, instance string) Epoch {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := Epoch{Instance: instance, Durability: e.durability, RecordsLostAt: old.RecordsLostAt}
	if old.Number > 0 && e.lost[old.Number] {
		next.RecordsLostAt = time.Now()
	}
	return next
}
