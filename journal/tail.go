package journal

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/redisconn"
)

const (
	// tailBlock is how long one read blocks for a first change. It bounds how late another epoch is noticed.
	tailBlock = 500 * time.Millisecond
	// sqlTailInterval is the time between two comparisons with SQL while Redis is unavailable: 10,000 watched orders are 20 statements.
	sqlTailInterval = 2 * time.Second
	// maxTailEntries bounds the entries of each stream in one read: of the journal, which carries orders, about 300 kB.
	maxTailEntries = 500
)

// Tail reads which orders change: those that Redis decides about from the journal of the open epoch, the others from Changes. It
// reads without a consumer group, so that it takes no entries from the workers and trimming does not wait for it: it reports when entries
// were trimmed before it read them. It is not safe for concurrent use.
type Tail struct {
	journal *Journal
	epochs  *Epochs

	// epoch is the epoch of the journal that is read; 0 while the offsets are not known.
	epoch int64
	// journalID and changesID are the ids of the last entries that were read.
	journalID, changesID string
}

// NewTail makes a reader of the partition's streams, without offsets yet.
func NewTail(journal *Journal, epochs *Epochs) *Tail { return &Tail{journal: journal, epochs: epochs} }

// Reset drops the offsets: the next read starts at the streams' ends and reports that changes may be missed.
func (t *Tail) Reset() { t.epoch = 0 }

// Next blocks up to tailBlock for changes and returns their orders, some perhaps more than once. missed reports that there may have been
// others: at the first read, after an error, when another epoch was opened, and when this reader was slower than the trimming.
// While no epoch is open it waits for one.
func (t *Tail) Next(ctx context.Context) (changed []order.ID, missed bool, err error) {
	epoch, err := t.epochs.Wait(ctx)
	if err != nil {
		t.Reset()
		return nil, true, err
	}
	if epoch.Mode == ModeSQL { // It has no journal: watchers compare their orders with SQL.
		t.Reset()
		return nil, true, pause.For(ctx, sqlTailInterval)
	}
	if epoch.Number != t.epoch {
		err = t.locate(ctx, epoch.Number)
		return nil, true, err
	}
	if changed, missed, err = t.read(ctx); err != nil {
		t.Reset()
		return nil, true, redisconn.Unavailable(err)
	}
	return changed, missed, nil
}

// locate moves to the streams' ends. A caller that reads the orders afterwards misses no change.
func (t *Tail) locate(ctx context.Context, epoch int64) error {
	c, keys := t.journal.conn.Client(), t.journal.keys
	replies, err := t.journal.doMulti(ctx, 0,
		c.B().Xrevrange().Key(keys.Journal(epoch)).End("+").Start("-").Count(1).Build(),
		c.B().Xrevrange().Key(keys.Changes()).End("+").Start("-").Count(1).Build())
	if err != nil {
		return redisconn.Unavailable(err)
	}
	journalID, err := edgeID(replies[0])
	if err != nil {
		return redisconn.Unavailable(err)
	}
	changesID, err := edgeID(replies[1])
	if err != nil {
		return redisconn.Unavailable(err)
	}
	t.epoch, t.journalID, t.changesID = epoch, journalID, changesID
	return nil
}

// read reads what is new. It reads the ids at which the streams are trimmed in the same pipeline, before the entries: read later, they
// might be beyond those entries, and look like a loss.
func (t *Tail) read(ctx context.Context) (changed []order.ID, missed bool, err error) {
	c, keys := t.journal.conn.Client(), t.journal.keys
	journal, changes := keys.Journal(t.epoch), keys.Changes()
	replies, err := t.journal.doMulti(ctx, tailBlock,
		c.B().Get().Key(keys.Trimmed(t.epoch)).Build(),
		c.B().Xrange().Key(changes).Start("-").End("+").Count(1).Build(),
		c.B().Xread().Count(maxTailEntries).Block(tailBlock.Milliseconds()).Streams().Key(journal, changes).Id(t.journalID, t.changesID).Build())
	if err != nil {
		return nil, false, err
	}
	trimmed, err := replies[0].ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, false, err
	}
	oldest, err := edgeID(replies[1])
	if err != nil {
		return nil, false, err
	}
	missed = CompareIDs(trimmed, t.journalID) > 0 || (t.changesID != StartID && CompareIDs(oldest, t.changesID) > 0)
	streams, err := replies[2].AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, missed, nil
	}
	if err != nil {
		return nil, false, err
	}
	changed, t.journalID = appendOrders(changed, streams[journal], t.journalID)
	changed, t.changesID = appendOrders(changed, streams[changes], t.changesID)
	return changed, missed, nil
}

// appendOrders appends the orders of the entries, and returns the last one's id. An entry without a valid order id changed none: entries
// that were added by hand may contain anything.
func appendOrders(changed []order.ID, entries []rueidis.XRangeEntry, at string) (all []order.ID, last string) {
	for _, e := range entries {
		at = e.ID
		if id, err := order.ParseID(e.FieldValues["order"]); err == nil && Kind(e.FieldValues["kind"]) != Adjusted {
			changed = append(changed, id)
		}
	}
	return changed, at
}

// edgeID is the id of the one entry in the reply; StartID when there is none.
func edgeID(r rueidis.RedisResult) (string, error) {
	entries, err := r.AsXRange()
	switch {
	case err != nil && !rueidis.IsRedisNil(err):
		return "", err
	case len(entries) == 0:
		return StartID, nil
	}
	return entries[0].ID, nil
}
