package journal

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// The reasons that are also found where the epoch never was: see checkElsewhere.
const (
	reasonInstance = "redis was restarted, promoted or replaced"
	reasonWiped    = "redis was wiped"
)

// compare returns the reason why Redis cannot go on in SQL's open epoch; empty when it can. Redis may be older than SQL although it has
// the epoch's key: a replica was promoted, or an older copy restored. Then its journal ends before SQL's offset. The opposite is a SQL
// that lost commits: its offset is before what Redis has trimmed.
func (e *Epochs) compare(ctx context.Context, epoch Epoch, instance string) (reason string, err error) {
	switch {
	case epoch.Number == 0:
		return "there was no epoch yet", nil
	case epoch.Mode == ModeSQL:
		return "redis is available again", nil
	case epoch.Instance != instance:
		return reasonInstance, nil
	case epoch.Durability == "":
		return "the epoch does not record the durability setting", nil
	case epoch.Undrained:
		return "its durability setting was changed, and its journal may hold orders that were acknowledged with the other one", nil
	case e.isInvalidated(epoch.Number):
		return "redis contradicts SQL", nil
	case !e.shareChecked && e.share(epoch) != epoch.ReserveShare:
		return fmt.Sprintf("the reserve share is to be %d %% instead of %d %%", e.share(epoch), epoch.ReserveShare), nil
	}
	e.cfg.Conn.Allow(instance)
	if e.cfg.Conn.Embedded() {
		return e.compareEmbedded(ctx, epoch.Number)
	}
	in, err := e.readRedisEpoch(ctx, epoch.Number)
	switch {
	case err != nil:
		return "", err
	case isRebuilding(in.epoch):
		return "another process is opening an epoch", nil
	case in.epoch != strconv.FormatInt(epoch.Number, 10):
		return reasonWiped, nil
	case CompareIDs(in.lastID, epoch.LastID) < 0:
		return fmt.Sprintf("redis is older than SQL: its journal ends at %s, and SQL has applied it up to %s", in.lastID, epoch.LastID), nil
	case CompareIDs(in.trimmed, epoch.LastID) > 0:
		return e.compareTrimmed(ctx, epoch.Number, in.trimmed)
	}
	return "", nil
}

// compareTrimmed is compare for a journal that is trimmed beyond the offset that was read before. The offset is read once more: it may have
// moved on meanwhile, and the trimming followed.
func (e *Epochs) compareTrimmed(ctx context.Context, number int64, trimmed string) (reason string, err error) {
	epoch, err := e.cfg.Store.EpochAt(ctx, e.cfg.Keys.Partition, number)
	if err != nil || CompareIDs(trimmed, epoch.LastID) <= 0 {
		return "", err
	}
	return fmt.Sprintf(
		"SQL lost commits: it has applied the journal up to %s, and entries up to %s, which it had applied, are trimmed",
		epoch.LastID,
		trimmed,
	), nil
}

// compareEmbedded is compare for the Redis in this process, which loses all of its data or nothing.
func (e *Epochs) compareEmbedded(ctx context.Context, number int64) (reason string, err error) {
	c := e.cfg.Conn.Client()
	held, err := c.Do(ctx, c.B().Get().Key(e.cfg.Keys.Epoch()).Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", fmt.Errorf("read the epoch in Redis: %w", err)
	}
	if held != strconv.FormatInt(number, 10) {
		return "the embedded Redis is new", nil
	}
	return "", nil
}

// redisEpoch is the state of an epoch in Redis.
type redisEpoch struct {
	// epoch is the value of the epoch key; lastID the id that the journal generated last; trimmed that of the last entry that was trimmed away.
	epoch, lastID, trimmed string
}

func (e *Epochs) readRedisEpoch(ctx context.Context, number int64) (in redisEpoch, err error) {
	c := e.cfg.Conn.Client()
	replies := c.DoMulti(ctx,
		c.B().Get().Key(e.cfg.Keys.Epoch()).Build(),
		c.B().Get().Key(e.cfg.Keys.Trimmed(number)).Build(),
		c.B().XinfoStream().Key(e.cfg.Keys.Journal(number)).Build())
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

// recordLoss records, for the epoch that was just closed, whether Redis lost data that SQL has. It lost none if it still held the
// epoch's key and a journal that reaches SQL's offset: the data of one history is a prefix of it, so everything before is there too.
// After a crash of the process that closed it this is unknown, which counts as a loss.
func (e *Epochs) recordLoss(old Epoch, before, lastID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.lost[old.Number]; known && strings.HasPrefix(before, "rebuild:"+e.token+":") {
		return // It was closed by this process, in an attempt that failed later.
	}
	maps.DeleteFunc(e.lost, func(number int64, _ bool) bool { return number < old.Number })
	e.lost[old.Number] = before != strconv.FormatInt(old.Number, 10) || CompareIDs(lastID, old.LastID) < 0
}

// recheckLoss records, for the epoch with the journal that ended at the id, that Redis lost data after all if SQL has more by now: a flusher had
// read it from the previous Redis, and committed it since SQL's offset was compared. It returns the offset that SQL has now.
func (e *Epochs) recheckLoss(ctx context.Context, number int64, end string) (Offset, error) {
	epoch, err := e.cfg.Store.EpochAt(ctx, e.cfg.Keys.Partition, number)
	if err != nil {
		return Offset{}, fmt.Errorf("read the offset of epoch %d: %w", number, err)
	}
	if CompareIDs(end, epoch.LastID) < 0 {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.lost[number] = true
	}
	return Offset{Epoch: number, ID: epoch.LastID}, nil
}

// nextEpoch describes the epoch after the one that is closed.
func (e *Epochs) nextEpoch(old Epoch, instance string) Epoch {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := Epoch{
		Partition: e.cfg.Keys.Partition, Instance: instance, Durability: e.cfg.Durability, RecordsLostAt: old.RecordsLostAt,
		ReserveShare: e.share(old), Mode: ModeRedis,
	}
	if old.Number > 0 && e.lost[old.Number] {
		next.RecordsLostAt = time.Now()
	}
	return next
}
