package stock

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

const (
	// tailBlock is how long one reading waits for a first change. It bounds how late another epoch is noticed.
	tailBlock = 500 * time.Millisecond
	// tailCount is how many entries of each stream one reading takes: of the journal, which carries whole orders, about 350 kB.
	tailCount = 500
)

// Tail follows which orders change: those that Redis decides about in the journal of the open epoch, the others in Changes. It
// reads in no group, so that it takes nothing from the workers and nothing waits for it: what it is too slow for is trimmed away,
// and it says so. It is not safe for concurrent use.
type Tail struct {
	journal *Journal
	epochs  *Epochs

	// epoch is whose journal is read; 0 while the places are not known.
	epoch                int64
	inJournal, inChanges string
}

// NewTail makes a reader of the partition's streams, at no place.
func NewTail(journal *Journal, epochs *Epochs) *Tail { return &Tail{journal: journal, epochs: epochs} }

// Reset forgets the places: the next reading begins at the streams' ends, and says that something was missed.
func (t *Tail) Reset() { t.epoch = 0 }

// Next waits a moment for changes and returns their orders, some perhaps more than once. With missed there may have been others:
// at the first reading, after an error, when another epoch was opened, and when this reader was slower than the trimming.
// While no epoch is open it waits for one.
func (t *Tail) Next(ctx context.Context) (changed []order.ID, missed bool, err error) {
	epoch, err := t.epochs.Wait(ctx)
	if err != nil {
		t.Reset()
		return nil, true, err
	}
	if epoch.Number != t.epoch {
		err = t.locate(ctx, epoch.Number)
		return nil, true, err
	}
	if changed, missed, err = t.read(ctx); err != nil {
		t.Reset()
		return nil, true, unavailable(err)
	}
	return changed, missed, nil
}

// locate goes to the streams' ends. Who reads the orders afterwards misses nothing.
func (t *Tail) locate(ctx context.Context, epoch int64) error {
	c, keys := t.journal.redis.Client(), t.journal.keys
	replies, err := t.journal.doMulti(ctx, 0,
		c.B().Xrevrange().Key(keys.Journal(epoch)).End("+").Start("-").Count(1).Build(),
		c.B().Xrevrange().Key(keys.Changes()).End("+").Start("-").Count(1).Build())
	if err != nil {
		return unavailable(err)
	}
	inJournal, err := edgeID(replies[0])
	if err != nil {
		return unavailable(err)
	}
	inChanges, err := edgeID(replies[1])
	if err != nil {
		return unavailable(err)
	}
	t.epoch, t.inJournal, t.inChanges = epoch, inJournal, inChanges
	return nil
}

// read takes what is new. Up to where the streams are trimmed is asked in the same pipeline, before the reading: asked later, it might
// be beyond what was just read, and look like a loss.
func (t *Tail) read(ctx context.Context) (changed []order.ID, missed bool, err error) {
	c, keys := t.journal.redis.Client(), t.journal.keys
	journal, changes := keys.Journal(t.epoch), keys.Changes()
	replies, err := t.journal.doMulti(ctx, tailBlock,
		c.B().Get().Key(keys.Trimmed(t.epoch)).Build(),
		c.B().Xrange().Key(changes).Start("-").End("+").Count(1).Build(),
		c.B().Xread().Count(tailCount).Block(tailBlock.Milliseconds()).Streams().Key(journal, changes).Id(t.inJournal, t.inChanges).Build())
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
	missed = CompareIDs(trimmed, t.inJournal) > 0 || (t.inChanges != StartID && CompareIDs(oldest, t.inChanges) > 0)
	streams, err := replies[2].AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, missed, nil
	}
	if err != nil {
		return nil, false, err
	}
	changed, t.inJournal = follow(changed, streams[journal], t.inJournal)
	changed, t.inChanges = follow(changed, streams[changes], t.inChanges)
	return changed, missed, nil
}

// follow adds the orders of the entries, and returns the last one's place. An entry that names no order changed none: it may be
// anything, because what was added by hand is among them.
func follow(changed []order.ID, entries []rueidis.XRangeEntry, at string) (all []order.ID, last string) {
	for _, e := range entries {
		at = e.ID
		if id, err := order.ParseID(e.FieldValues["order"]); err == nil && Kind(e.FieldValues["kind"]) != Adjusted {
			changed = append(changed, id)
		}
	}
	return changed, at
}

// edgeID is the id of the one entry that was asked for; StartID when there is none.
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
