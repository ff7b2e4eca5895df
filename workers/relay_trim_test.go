package workers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/workers"
)

// TestOrderRelay_TrimsBehindTheSlowestReader has two relays, one of which cannot send its entry (I11).
func TestOrderRelay_TrimsBehindTheSlowestReader(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	one := func(c *workers.RelayConfig) { c.Batch, c.ClaimIdle = 1, time.Hour }
	quick, slow := s.relay(out, named("quick"), one), s.relay(&fakeProducer{err: errDown}, named("slow"), one)
	mustRun(t, quick.RunOnce, 0)
	places := make([]journal.Offset, 4)
	for i := range places {
		places[i] = s.reserve(t, freshOrder())
	}
	epoch := places[0].Epoch
	s.flush(t)
	mustRun(t, quick.RunOnce, 1)
	mustFail(t, slow.RunOnce, errDown)
	mustRun(t, quick.RunOnce, 1)
	mustRun(t, quick.RunOnce, 1)
	if got := s.journalled(t, epoch); !slices.Equal(got, []string{places[1].ID, places[2].ID, places[3].ID}) {
		t.Errorf("the journal holds %v; want what the slow relay holds, %s, and the rest", got, places[1].ID)
	}
	mustRun(t, s.relay(out, named("heir")).RunOnce, 1)
	if got := s.journalled(t, epoch); !slices.Equal(got, []string{places[3].ID}) {
		t.Errorf("the journal holds %v; want the last entry alone", got)
	}
	if sent := events(t, out.messages()); len(sent) != 4 {
		t.Errorf("%d events were sent; want 4", len(sent))
	}
}

func TestOrderRelay_OldEpochsJournalIsRelayedAndRemoved(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*workers.RelayConfig){
		"in two batches": func(c *workers.RelayConfig) { c.Batch = 2 },
		"in one, keeping what was sent": func(c *workers.RelayConfig) {
			keeping(c)
			c.Batch = 10
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, out := openShop(t, openSQLite(t)), &fakeProducer{}
			r := s.relay(out, configure)
			mustRun(t, r.RunOnce, 0)
			var all []order.Order
			for range 3 {
				all = append(all, freshOrder())
				s.reserve(t, all[len(all)-1])
			}
			s.nextEpoch(t)
			all = append(all, freshOrder())
			s.reserve(t, all[3])
			s.flush(t)
			// Redis is not what SQL knew: this one never happened, and its units are for sale again.
			s.addReserved(t, 1, freshOrder(), "A:-1", []byte("x"))
			eventually(t, "the old journal to go", func() bool {
				if _, err := r.RunOnce(t.Context()); err != nil {
					t.Fatalf("iteration: %v", err)
				}
				epochs, err := s.journal.Epochs(t.Context())
				return err == nil && slices.Equal(epochs, []int64{2})
			})
			wantSent(t, out, all...)
			c := s.redis.Client()
			n, err := c.Do(t.Context(), c.B().Exists().Key(s.keys.Journal(1), s.keys.Trimmed(1), s.keys.Sent(1), s.keys.Again(1), s.keys.Stock(1)).Build()).AsInt64()
			if err != nil || n != 0 {
				t.Errorf("%d keys of the old epoch are left (%v)", n, err)
			}
		})
	}
}

// TestOrderRelay_OldEpochsJournalStaysUntilAcknowledged: a relay may have died with entries of it.
func TestOrderRelay_OldEpochsJournalStaysUntilAcknowledged(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	dies := s.relay(&fakeProducer{err: errDown}, named("dies"))
	mustRun(t, dies.RunOnce, 0)
	o := freshOrder()
	s.reserve(t, o)
	s.flush(t)
	mustFail(t, dies.RunOnce, errDown)
	s.nextEpoch(t)
	patient := s.relay(out, named("patient"), func(c *workers.RelayConfig) { c.ClaimIdle = time.Hour })
	for range 3 {
		mustRun(t, patient.RunOnce, 0)
	}
	if got := s.journalled(t, 1); len(got) != 1 {
		t.Fatalf("the old journal holds %v; want the entry that was not sent", got)
	}
	wantSent(t, out)
	mustRun(t, s.relay(out, named("heir")).RunOnce, 1)
	wantSent(t, out, o)
}

func TestOrderRelay_PoisonEntry(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	r := alwaysClaiming(s.relay(out))
	mustRun(t, r.RunOnce, 0)
	before, after := freshOrder(), freshOrder()
	epoch := s.reserve(t, before).Epoch
	s.add(t, epoch, map[string]string{"kind": "?"})
	s.reserve(t, after)
	s.flush(t)
	eventually(t, "all entries to be acknowledged", func() bool {
		if _, err := r.RunOnce(t.Context()); err != nil {
			t.Fatalf("iteration: %v", err)
		}
		return s.unacked(t, epoch) == 0
	})
	wantSent(t, out, before, after)
}

// TestOrderRelay_PoisonEntryWaitsForTheFlusher: the relay does not acknowledge it before it is in failed_orders.
func TestOrderRelay_PoisonEntryWaitsForTheFlusher(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	r := alwaysClaiming(s.relay(out))
	mustRun(t, r.RunOnce, 0)
	s.add(t, 1, map[string]string{"kind": "?"})
	if n, err := r.RunOnce(t.Context()); err == nil {
		t.Errorf("a iteration ahead of the flusher took %d entries", n)
	}
	if n := s.unacked(t, 1); n != 1 {
		t.Fatalf("%d entries wait for their acknowledgement; want 1", n)
	}
	s.flush(t)
	mustRun(t, r.RunOnce, 1)
	if n := s.unacked(t, 1); n != 0 {
		t.Errorf("%d entries wait for their acknowledgement", n)
	}
}
