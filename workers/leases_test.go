package workers_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// longLease is longer than any test: a message that arrives again was released.
const longLease = time.Hour

// fakeStuck stands for a dependency that never responds: each call closes reached, once, and returns when its context ends.
type fakeStuck struct {
	once    sync.Once
	reached chan struct{}
}

func newFakeStuck() *fakeStuck { return &fakeStuck{reached: make(chan struct{})} }

func (s *fakeStuck) wait(ctx context.Context) error {
	s.once.Do(func() { close(s.reached) })
	<-ctx.Done()
	return ctx.Err()
}

func (s *fakeStuck) Apply(ctx context.Context, _ []order.Event) (store.Outcome, error) {
	return store.Outcome{}, s.wait(ctx)
}

// fakeStuckShips is a ShipStore that never responds.
type fakeStuckShips struct {
	workers.ShipStore
	*fakeStuck
}

func (s fakeStuckShips) States(ctx context.Context, _ []order.ID) (map[order.ID]order.State, error) {
	return nil, s.wait(ctx)
}

// fakeStuckEpochs is a RelayStore that never responds.
type fakeStuckEpochs struct{ *fakeStuck }

func (s fakeStuckEpochs) EpochAt(ctx context.Context, _ uint8, _ int64) (journal.Epoch, error) {
	return journal.Epoch{}, s.wait(ctx)
}

// fakeStuckMail is a MailClient that never responds.
type fakeStuckMail struct{ *fakeStuck }

func (s fakeStuckMail) Send(ctx context.Context, mails []order.Mail) []error {
	return slices.Repeat([]error{s.wait(ctx)}, len(mails))
}

// stopped runs a worker until it waits for the dependency that never responds, and stops it.
func stopped(t *testing.T, run func(context.Context), d *fakeStuck) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx) }()
	select {
	case <-d.reached:
	case <-time.After(eventuallyMax):
		t.Error("the worker never called its dependency")
	}
	stop()
	<-ended
}

// TestWorkers_StopReleasesMessages stops a worker in the middle of an iteration, on a real Redis, with leases of an hour: the next worker gets the
// messages at once.
func TestWorkers_StopReleasesMessages(t *testing.T) {
	t.Parallel()
	writer := func(in queue.Consumer, orders workers.OrderStore) *workers.OrderWriter {
		cfg := workers.DefaultWriterConfig()
		cfg.Lease = longLease
		return workers.NewOrderWriter(cfg, in, orders, stubNoDeadLetters{t}, noHotOrders{}, &fakeCanceller{}, quiet)
	}
	shipper := func(in queue.Consumer, st workers.ShipStore) *workers.Shipper {
		cfg := workers.DefaultShipConfig()
		cfg.Lease = longLease
		return workers.NewShipper(cfg, in, st, stubNoDeadLetters{t}, &fakeCarrier{}, quiet)
	}
	// The mailer sends one mail an iteration. That of the first message goes to the outbox, and the other messages are released.
	mailer := func(in queue.Consumer, client workers.MailClient) *workers.Mailer {
		cfg := workers.DefaultMailConfig()
		cfg.Lease, cfg.Mails = longLease, 1
		return workers.NewMailer(cfg, in, &fakeOutbox{}, stubNoDeadLetters{t}, client, quiet)
	}
	const messages = 3
	for _, c := range []struct {
		name, group string
		stuck       func(queue.Consumer, *fakeStuck) func(context.Context)
		next        func(queue.Consumer, []order.Order) func(context.Context) (int, error)
		want        int
	}{
		{
			"writer", "orders",
			func(in queue.Consumer, d *fakeStuck) func(context.Context) { return writer(in, d).Run },
			func(in queue.Consumer, _ []order.Order) func(context.Context) (int, error) {
				return writer(in, &stubRows{written: make(map[order.ID]int)}).RunOnce
			}, messages,
		},
		{
			"shipper", "shipping",
			func(in queue.Consumer, d *fakeStuck) func(context.Context) {
				return shipper(in, fakeStuckShips{nil, d}).Run
			},
			func(in queue.Consumer, all []order.Order) func(context.Context) (int, error) {
				return shipper(in, newFakeMemoryShipStore(order.Paid, all...)).RunOnce
			}, messages,
		},
		{
			"mailer", "mail",
			func(in queue.Consumer, d *fakeStuck) func(context.Context) { return mailer(in, fakeStuckMail{d}).Run },
			func(in queue.Consumer, _ []order.Order) func(context.Context) (int, error) {
				return mailer(in, &fakeRefusingOnce{seen: make(map[order.ID]int)}).RunOnce
			}, messages - 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := openQueue(t, openShop(t, openSQLite(t)))
			all := sendSettled(t, b, messages)
			d := newFakeStuck()
			stopped(t, c.stuck(consumer(t, b, c.group), d), d)
			next, done := c.next(consumer(t, b, c.group), all), 0
			eventually(t, "the next worker to get the messages", func() bool {
				n, err := next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				done += n
				return done >= c.want
			})
			if done != c.want {
				t.Errorf("the next worker did %d, want %d", done, c.want)
			}
		})
	}
}

// fakeRowsAwayOnce is an OrderStore that is away for its first call.
type fakeRowsAwayOnce struct {
	stubRows
	called bool
}

func (s *fakeRowsAwayOnce) Apply(ctx context.Context, changes []order.Event) (store.Outcome, error) {
	if !s.called {
		s.called = true
		return store.Outcome{}, errDown
	}
	return s.stubRows.Apply(ctx, changes)
}

// TestOrderWriter_RestWritesWhatFailed: a process that ends together with its queue does not wait for the leases of what failed before.
func TestOrderWriter_RestWritesWhatFailed(t *testing.T) {
	t.Parallel()
	b := openQueue(t, openShop(t, openSQLite(t)))
	cfg := workers.DefaultWriterConfig()
	cfg.Lease = longLease
	rows := &fakeRowsAwayOnce{stubRows: stubRows{written: make(map[order.ID]int)}}
	w := workers.NewOrderWriter(cfg, consumer(t, b, "orders"), rows, stubNoDeadLetters{t}, noHotOrders{}, &fakeCanceller{}, quiet)
	sendSettled(t, b, 2)
	mustFail(t, w.RunOnce, errDown)
	mustRun(t, w.RunOnce, 0)
	mustRun(t, w.Rest, 2)
	mustRun(t, w.Rest, 0)
}

// sendSettled sends n messages with one paid order each.
func sendSettled(t *testing.T, b queue.Broker, n int) (all []order.Order) {
	t.Helper()
	producer, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		o := freshOrder()
		all = append(all, o)
		if err := producer.Send(t.Context(), "orders", queue.Outgoing{Body: settledBody(o)}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestOrderRelay_StopReleasesEntries stops a relay while it reads the flusher's offset: another one need not wait for ClaimIdle.
func TestOrderRelay_StopReleasesEntries(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	late := func(c *workers.RelayConfig) { c.ClaimIdle, c.FlushWait = longLease, longLease }
	o := freshOrder()
	s.reserve(t, o)
	d := newFakeStuck()
	stopped(t, s.relayOn(fakeStuckEpochs{d}, &fakeProducer{}, late).Run, d)
	if n := s.unacked(t, 1); n != 1 {
		t.Fatalf("the relay holds %d entries, want 1", n)
	}
	mustRun(t, s.flusher(s.sql).RunOnce, 1)
	var out fakeProducer
	mustRun(t, s.relay(&out, late, named("relay-2")).RunOnce, 1)
	wantSent(t, &out, o)
	if n := s.unacked(t, 1); n != 0 {
		t.Errorf("%d entries are not acknowledged", n)
	}
}

// TestOrderRelay_StopReleasesEntriesInFlight: Redis has delivered entries to a relay that is stopped before it has received them.
func TestOrderRelay_StopReleasesEntriesInFlight(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	proxy := queuetest.NewProxy(t, realparts.FreeAddr(t), realparts.Redis(t))
	slow, err := redisconn.Connect(redisconn.Config{Addr: proxy.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	instance, err := slow.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slow.Allow(instance)
	cfg := workers.DefaultRelayConfig("orders", "relay-1")
	cfg.ClaimIdle, cfg.Block = longLease, patience
	relay := workers.NewOrderRelay(cfg, journal.New(s.keys.Keys, slow, stubPermit{}), s.sql, s.snapshots(), &fakeProducer{}, s.dead, quiet)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); relay.Run(ctx) }()
	c, waiting := s.redis.Client(), 0
	eventually(t, "the relay to wait for entries", func() bool {
		// It waits as soon as it has made its group. No command shows that.
		if groups, err := c.Do(t.Context(), c.B().XinfoGroups().Key(s.keys.Journal(1)).Build()).ToArray(); err == nil && len(groups) == 1 {
			waiting++
		}
		return waiting > 10
	})
	proxy.Freeze(t)
	o := freshOrder()
	s.reserve(t, o)
	eventually(t, "Redis to deliver the entry", func() bool { return s.unacked(t, 1) == 1 })
	stop()
	proxy.Thaw(t)
	<-ended
	s.flush(t)
	var out fakeProducer
	mustRun(t, s.relay(&out, named("relay-2"), func(c *workers.RelayConfig) { c.ClaimIdle = longLease }).RunOnce, 1)
	wantSent(t, &out, o)
}
