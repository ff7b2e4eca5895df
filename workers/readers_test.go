package workers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
)

// readers reads how far the flusher and the relay are behind.
func (s *shop) readers(t *testing.T) journal.Readers {
	t.Helper()
	e, err := store.NewStock(s.db).OpenEpoch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.journal.Readers(t.Context(), journal.Offset{Epoch: e.Number, ID: e.LastID})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReaders_DeadOnesFallBehind: entries count for the flusher until SQL has them, and for the relay until the broker does, whether they run or not.
func TestReaders_DeadOnesFallBehind(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	want := func(when string, flusher, relay int64) journal.Readers {
		t.Helper()
		r := s.readers(t)
		if r.Flusher.Entries != flusher || r.Relay.Entries != relay {
			t.Errorf("%s: %+v; want %d and %d entries", when, r, flusher, relay)
		}
		for _, u := range []journal.Unread{r.Flusher, r.Relay} {
			if age := time.Since(u.Oldest); u.Entries > 0 && (age < -time.Second || age > time.Minute) || u.Entries == 0 && !u.Oldest.IsZero() {
				t.Errorf("%s: the oldest of %d entries is of %s", when, u.Entries, u.Oldest)
			}
		}
		return r
	}
	want("an empty journal", 0, 0)
	s.reserve(t, freshOrder())
	s.reserve(t, freshOrder())
	if r := want("without flusher and relay", 2, 2); r.Entries != 2 {
		t.Errorf("%d entries", r.Entries)
	}
	s.flush(t)
	want("flushed", 0, 2)
	s.reserve(t, freshOrder())
	want("one more", 1, 3)
	s.flush(t)
	mustRun(t, s.relay(out).RunOnce, 3)
	want("relayed", 0, 0)
}

// TestReaders_LongBacklogIsEstimated reads a bounded number of entries, and estimates how many there are from their times.
func TestReaders_LongBacklogIsEstimated(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	e, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	const entries = 1000
	c := s.redis.Client()
	cmds := make(rueidis.Commands, entries)
	for i := range cmds { // one each 10 ms
		cmds[i] = c.B().Xadd().Key(s.keys.Journal(e.Number)).Id(fmt.Sprintf("%d-0", 10*(i+1))).FieldValue().FieldValue("kind", "?").Build()
	}
	for _, r := range c.DoMulti(t.Context(), cmds...) {
		if err := r.Error(); err != nil {
			t.Fatal(err)
		}
	}
	for behind, tolerance := range map[int]int64{entries: 0, 600: 2, 300: 2, 200: 0, 0: 0} {
		r, err := s.journal.Readers(t.Context(), journal.Offset{Epoch: e.Number, ID: fmt.Sprintf("%d-0", 10*(entries-behind))})
		if err != nil {
			t.Fatal(err)
		}
		if off := r.Flusher.Entries - int64(behind); off > tolerance || off < -tolerance {
			t.Errorf("%d entries behind: %+v", behind, r.Flusher)
		}
		if r.Entries != entries || r.Relay.Entries != entries {
			t.Errorf("%+v; want %d entries", r, entries)
		}
	}
}
