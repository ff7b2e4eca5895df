package workers_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
)

func (s *shop) backlog(t *testing.T) journal.Backlog {
	t.Helper()
	b, err := s.journal.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBacklog_EndsWithTheAcknowledgement: the oldest entry counts until a relay has sent and acknowledged it, with or without a relay.
func TestBacklog_EndsWithTheAcknowledgement(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{err: errDown}
	if b := s.backlog(t); b != (journal.Backlog{}) {
		t.Errorf("an empty journal: %+v", b)
	}
	s.reserve(t, freshOrder())
	first := s.backlog(t)
	if age := time.Since(first.Oldest); first.Entries != 1 || age < 0 || age > time.Minute {
		t.Errorf("without a relay: %+v", first)
	}
	<-time.After(2 * time.Millisecond) // The next entry's id has another time.
	s.reserve(t, freshOrder())
	s.flush(t)
	r := s.relay(out)
	mustFail(t, r.RunOnce, errDown)
	if b := s.backlog(t); b.Entries != 2 || !b.Oldest.Equal(first.Oldest) {
		t.Errorf("received and not sent: %+v; the oldest is of %s", b, first.Oldest)
	}
	out.fail(nil)
	mustRun(t, r.RunOnce, 2)
	if b := s.backlog(t); !b.Oldest.IsZero() {
		t.Errorf("all is relayed: %+v", b)
	}
	before := time.Now().Add(-time.Second)
	s.reserve(t, freshOrder())
	if b := s.backlog(t); b.Oldest.Before(before) {
		t.Errorf("the oldest entry is of %s, before the last one was relayed", b.Oldest)
	}
}
