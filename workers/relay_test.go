package workers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// relay makes a relay that claims the entries of other relays at once, unless an option changes that.
func (s *shop) relay(out *fakeProducer, with ...func(*workers.RelayConfig)) *workers.OrderRelay {
	return s.relayOn(s.sql, out, with...)
}

func (s *shop) relayOn(st workers.RelayStore, out *fakeProducer, with ...func(*workers.RelayConfig)) *workers.OrderRelay {
	cfg := workers.DefaultRelayConfig("orders", "relay-1")
	cfg.Block, cfg.ClaimIdle, cfg.FlushWait = briefly, 0, 4*briefly
	for _, f := range with {
		f(&cfg)
	}
	return workers.NewOrderRelay(cfg, s.journal, st, s.snapshots(), out, s.dead, quiet)
}

func named(name string) func(*workers.RelayConfig) {
	return func(c *workers.RelayConfig) { c.Consumer = name }
}

// alwaysClaiming sets the relay's clock to one that advances at each reading, so that the relay claims entries
// in every iteration.
func alwaysClaiming(r *workers.OrderRelay) *workers.OrderRelay {
	leaps := 0
	r.SetClock(func() time.Time {
		leaps++
		return time.Now().Add(time.Duration(leaps) * workers.ClaimInterval)
	})
	return r
}

// unacked are the entries of an epoch that the relay read and did not acknowledge.
func (s *shop) unacked(t *testing.T, epoch int64) int64 {
	t.Helper()
	c := s.redis.Client()
	reply, err := c.Do(t.Context(), c.B().Xpending().Key(s.keys.Journal(epoch)).Group("relay").Build()).ToArray()
	if err != nil {
		t.Fatal(err)
	}
	n, err := reply[0].AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *shop) journalled(t *testing.T, epoch int64) []string {
	t.Helper()
	entries, err := s.journal.ReadRemaining(t.Context(), epoch, journal.StartID, 100)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
	}
	return ids
}

// wantSent compares the orders of the events that were sent, in any sequence.
func wantSent(t *testing.T, out *fakeProducer, want ...order.Order) {
	t.Helper()
	var got, ids []string
	for _, e := range events(t, out.messages()) {
		got = append(got, e.GetOrderId())
	}
	for _, o := range want {
		ids = append(ids, string(o.ID))
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		t.Errorf("events of the orders %v were sent; want %v", got, ids)
	}
}

func TestOrderRelay_AcknowledgesOnlyWhatWasSent(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{err: errDown}
	first, second := freshOrder(), freshOrder()
	epoch := s.reserve(t, first).Epoch
	s.reserve(t, second)
	s.flush(t)
	r := alwaysClaiming(s.relay(out))
	for range 3 {
		mustFail(t, r.RunOnce, errDown)
		if n := s.unacked(t, epoch); n != 2 {
			t.Fatalf("%d entries wait for their acknowledgement; want 2", n)
		}
	}
	out.fail(nil)
	mustRun(t, r.RunOnce, 2)
	wantSent(t, out, first, second)
	if n := s.unacked(t, epoch); n != 0 {
		t.Errorf("%d entries wait for their acknowledgement after they were sent", n)
	}
}

func TestOrderRelay_ClaimsIdleEntriesOfADeadRelay(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	o := freshOrder()
	epoch := s.reserve(t, o).Epoch
	s.flush(t)
	mustFail(t, s.relay(&fakeProducer{err: errDown}, named("dies")).RunOnce, errDown)

	patient := alwaysClaiming(s.relay(out, named("patient"), func(c *workers.RelayConfig) { c.ClaimIdle = time.Hour }))
	mustRun(t, patient.RunOnce, 0)
	wantSent(t, out)
	mustRun(t, s.relay(out, named("heir")).RunOnce, 1)
	wantSent(t, out, o)
	if n := s.unacked(t, epoch); n != 0 {
		t.Errorf("%d entries wait for their acknowledgement", n)
	}
}

// fakeBrokenEpochStore fails for one epoch.
type fakeBrokenEpochStore struct {
	*store.Stock
	broken int64
}

func (f fakeBrokenEpochStore) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	if number == f.broken {
		return journal.Epoch{}, errDown
	}
	return f.Stock.EpochAt(ctx, partition, number)
}

// TestOrderRelay_OneEpochFails: the entries of the next epoch are sent nevertheless, and the iteration returns the error.
func TestOrderRelay_OneEpochFails(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	first, second := freshOrder(), freshOrder()
	broken := s.reserve(t, first).Epoch
	s.nextEpoch(t)
	s.reserve(t, second)
	s.flush(t)
	n, err := s.relayOn(fakeBrokenEpochStore{s.sql, broken}, out, named("relay-2")).RunOnce(t.Context())
	if n != 1 || !errors.Is(err, errDown) {
		t.Errorf("relayed %d, %v; want 1 and the error of epoch %d", n, err, broken)
	}
	wantSent(t, out, second)
	mustRun(t, alwaysClaiming(s.relay(out, named("relay-3"))).RunOnce, 1)
	wantSent(t, out, second, first)
}

// fakeObservedStore signals when the relay has read the offset of the flusher.
type fakeObservedStore struct {
	*store.Stock
	reads chan struct{}
}

func (l fakeObservedStore) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	defer func() {
		select {
		case l.reads <- struct{}{}:
		default:
		}
	}()
	return l.Stock.EpochAt(ctx, partition, number)
}

func TestOrderRelay_WaitsForTheFlusher(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	mustRun(t, s.relay(out).RunOnce, 0)
	o := freshOrder()
	s.reserve(t, o)
	l := fakeObservedStore{s.sql, make(chan struct{})}
	r := s.relayOn(l, out, func(c *workers.RelayConfig) { c.FlushWait = time.Minute })
	done := make(chan error, 1)
	go func() {
		_, err := r.RunOnce(t.Context())
		done <- err
	}()
	for range 3 {
		select {
		case <-l.reads:
		case err := <-done:
			t.Fatalf("the iteration ended (%v) before the flusher came", err)
		}
	}
	wantSent(t, out)
	s.flush(t)
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the iteration failed: %v", err)
		}
	case <-time.After(eventuallyMax):
		t.Fatalf("the iteration did not end within %s of the flush", eventuallyMax)
	}
	wantSent(t, out, o)
}

func TestOrderRelay_WithoutAFlusher(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	r := alwaysClaiming(s.relay(out))
	mustRun(t, r.RunOnce, 0)
	flushed, held := freshOrder(), freshOrder()
	epoch := s.reserve(t, flushed).Epoch
	s.flush(t)
	s.reserve(t, held)
	for range 2 {
		if n, err := r.RunOnce(t.Context()); err == nil {
			t.Errorf("a iteration ahead of the flusher took %d entries", n)
		}
	}
	wantSent(t, out)
	if n, left := s.unacked(t, epoch), s.journalled(t, epoch); n != 2 || len(left) != 2 {
		t.Errorf("%d entries unacknowledged, %d in the journal; want 2 and 2", n, len(left))
	}
	s.flush(t)
	mustRun(t, r.RunOnce, 2)
	wantSent(t, out, flushed, held)
}

func TestOrderRelay_EventsMatchTheJournal(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	r := s.relay(out)
	mustRun(t, r.RunOnce, 0)
	pending, paid, declined := freshOrder(), freshOrder(), freshOrder()
	for _, o := range []order.Order{pending, paid, declined} {
		s.reserve(t, o)
	}
	s.settle(t, paid)
	s.release(t, declined)
	if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a1", SKU: "A", Units: 1, Reason: "r", Actor: "op"}); err != nil {
		t.Fatal(err)
	}
	s.flush(t)
	mustRun(t, r.RunOnce, 6)
	type told struct {
		kind   spillwayv1.OrderEventKind
		detail string
	}
	// The later event carries the whole order, so a reservation settled in the same batch goes without saying.
	want := map[order.ID]told{pending.ID: {reserved, ""}, paid.ID: {settled, "ch-" + string(paid.ID)}, declined.ID: {released, "declined"}}
	sent := events(t, out.messages())
	if len(sent) != len(want) || len(out.messages()) != 1 {
		t.Fatalf("%d events in %d messages; want %d in one", len(sent), len(out.messages()), len(want))
	}
	snapshots := map[order.ID][]byte{pending.ID: snapshot(pending), paid.ID: snapshot(paid), declined.ID: snapshot(declined)}
	for _, e := range sent {
		id := order.ID(e.GetOrderId())
		if got := (told{e.GetKind(), e.GetDetail()}); got != want[id] || !bytes.Equal(e.GetSnapshot(), snapshots[id]) {
			t.Errorf("event %v of %s; want %v and the order as it was reserved", got, id, want[id])
		}
		if age := time.Since(e.GetTime().AsTime()); age < 0 || age > time.Minute {
			t.Errorf("the event of %s happened %s ago", id, age)
		}
	}
}

func TestOrderRelay_LargeBatchIsSplit(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	r := s.relay(out)
	mustRun(t, r.RunOnce, 0)
	large := bytes.Repeat([]byte("x"), 400<<10)
	var all []order.Order
	for range 5 {
		all = append(all, freshOrder())
		s.addReserved(t, 1, all[len(all)-1], "A:-1", large)
	}
	s.flush(t)
	mustRun(t, r.RunOnce, 5)
	wantSent(t, out, all...)
	for _, m := range out.messages() {
		if len(m) > 1<<20+1<<10 {
			t.Errorf("a message has %d bytes", len(m))
		}
	}
	if n := len(out.messages()); n != 3 {
		t.Errorf("%d messages; want 3 of two events at most", n)
	}
}

// TestOrderRelay_ManyRelaysAndAFailingBroker runs the real loops until all is sent.
func TestOrderRelay_ManyRelaysAndAFailingBroker(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	ctx, stop := context.WithCancel(t.Context())
	out, broken := &fakeProducer{}, &fakeProducer{err: errDown}
	var wg sync.WaitGroup
	for i := range 2 {
		r := alwaysClaiming(s.relay(out, named(fmt.Sprint("good-", i)), func(c *workers.RelayConfig) { c.Batch, c.FlushWait = 3, patience }))
		wg.Go(func() { r.Run(ctx) })
	}
	bad := s.relay(broken, named("bad"), func(c *workers.RelayConfig) { c.Batch, c.FlushWait = 3, patience })
	wg.Go(func() { bad.Run(ctx) })
	wg.Go(func() { s.flusher(s.sql).Run(ctx) })
	want := map[string]bool{}
	for range 20 {
		o := freshOrder()
		s.reserve(t, o)
		want[string(o.ID)] = true
	}
	eventually(t, "all orders to be sent", func() bool {
		got := map[string]bool{}
		for _, e := range events(t, out.messages()) {
			got[e.GetOrderId()] = true
		}
		return len(got) == len(want)
	})
	stop()
	wg.Wait()
}

func TestOrderRelay_StopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	l := fakeObservedStore{s.sql, make(chan struct{})}
	r := s.relayOn(l, &fakeProducer{}, func(c *workers.RelayConfig) { c.FlushWait = time.Hour })
	mustRun(t, r.RunOnce, 0)
	s.reserve(t, freshOrder())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { <-l.reads; stop() }() // It has the entry, and waits for the flusher.
	if n, err := r.RunOnce(ctx); err == nil {
		t.Errorf("the iteration took %d entries whose stock is not in SQL", n)
	}
	if n := s.unacked(t, 1); n != 1 {
		t.Errorf("%d entries wait for their acknowledgement; want 1", n)
	}
}
