package workers_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// confirmedLongAgo lets an hour pass since a process was on the open epoch: before, it may still be.
func confirmedLongAgo(t *testing.T, path string) {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), "UPDATE stock_epochs SET opened_at = ?", time.Now().UTC().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// TestOrderRelay_KeepsWhatAnotherRedisClosed: the epoch was closed on another Redis. When this one serves the shop again, it must still have
// the orders that were never flushed, to rewind them.
func TestOrderRelay_KeepsWhatAnotherRedisClosed(t *testing.T) {
	path := sqlitePath(t)
	s, out := openShop(t, openDB(t, "sqlite:"+path)), &fakeProducer{}
	r := s.relay(out)
	mustRun(t, r.RunOnce, 0)
	o := freshOrder()
	s.reserve(t, o)
	if _, err := s.sql.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, journal.Epoch{Instance: "another", Durability: store.DurabilityJournal}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RunOnce(t.Context()); err == nil {
		t.Error("the relay went on in an epoch that another Redis closed")
	}
	if held := s.journalled(t, 1); len(held) != 1 {
		t.Errorf("the journal holds %v; want the order that never happened", held)
	}
	confirmedLongAgo(t, path)
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec, err := s.HotOrder(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("Redis still has the order: %+v (%v)", rec, err)
	}
	eventually(t, "the old journal to go", func() bool {
		_, err := r.RunOnce(t.Context())
		return err == nil && len(s.journalled(t, 1)) == 0
	})
	wantSent(t, out)
}
