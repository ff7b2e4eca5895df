package workers_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestOrderRelay_KeepsWhatAnotherRedisClosed: the epoch was closed on another Redis. When this one serves the shop again, it must still have
// the orders that were never flushed, to rewind them.
func TestOrderRelay_KeepsWhatAnotherRedisClosed(t *testing.T) {
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
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
