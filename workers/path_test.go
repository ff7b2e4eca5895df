package workers_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/redisstream"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// openQueue is a broker on the real Redis, with topic "orders" for the three groups.
func openQueue(t *testing.T, s *shop) queue.Broker {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{realparts.Redis(t)}, ForceSingleClient: true, DisableCache: true, AlwaysPipelining: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b, err := redisstream.New(client, redisstream.Config{
		Topics: map[string][]string{"orders": {"orders", "shipping", "mail"}},
		Key:    func(topic string) string { return "{" + s.keys.Namespace + ":queue}:" + topic }, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close the broker: %v", err)
		}
	})
	return b
}

func consumer(t *testing.T, b queue.Broker, group string) queue.Consumer {
	t.Helper()
	c, err := b.Consumer("orders", group)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fakeFlakyProducer sends what it is given and then, the first times, returns an error.
type fakeFlakyProducer struct {
	queue.Producer
	left int
}

func (f *fakeFlakyProducer) Send(ctx context.Context, topic string, messages ...queue.Outgoing) error {
	err := f.Producer.Send(ctx, topic, messages...)
	if err == nil && f.left > 0 {
		f.left--
		return errDown
	}
	return err
}

// TestWorkers_WholePathThroughFailingDependencies runs all workers' loops on a real Redis: the broker's yes is lost, SQL fails
// before and after its commits, the carrier refuses each order once, and the mail fails once. Each order ends shipped or
// cancelled, with its stock, one shipment and one mail.
func TestWorkers_WholePathThroughFailingDependencies(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		b := openQueue(t, s)
		producer, err := b.Producer()
		if err != nil {
			t.Fatal(err)
		}
		relayCfg := workers.DefaultRelayConfig("orders", "relay-1")
		relayCfg.Block, relayCfg.ClaimIdle, relayCfg.Batch = briefly, 0, 7
		relay := alwaysClaiming(workers.NewOrderRelay(relayCfg, s.journal, s.sql, s.snapshots(), &fakeFlakyProducer{producer, 2}, s.dead, quiet))

		writerCfg, shipCfg, mailCfg := workers.DefaultWriterConfig(), workers.DefaultShipConfig(), workers.DefaultMailConfig()
		writerCfg.Lease, shipCfg.Lease, mailCfg.Lease = time.Second, time.Second, time.Second
		orders := &fakeFlakyOrders{Orders: s.orders, before: faults([]bool{true}), after: faults([]bool{true})}
		writer := workers.NewOrderWriter(writerCfg, consumer(t, b, "orders"), orders, s.dead, s.Stock, &fakeCanceller{}, quiet)
		truck, post := &fakeRefusingOnce{seen: map[order.ID]int{}}, &fakeRefusingOnce{seen: map[order.ID]int{}}
		shipper := workers.NewShipper(shipCfg, consumer(t, b, "shipping"), s.orders, s.dead, truck, quiet)
		mailer := workers.NewMailer(mailCfg, consumer(t, b, "mail"), store.NewMails(db), s.dead, post, quiet)
		dispatchCfg := workers.DefaultDispatchConfig()
		dispatchCfg.Interval, dispatchCfg.MinBackoff = briefly, briefly
		dispatcher := workers.NewMailDispatcher(dispatchCfg, store.NewMails(db), s.orders, post, quiet) // Retries what the mailer did not send.

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, run := range []func(context.Context){s.flusher(s.sql).Run, relay.Run, writer.Run, shipper.Run, mailer.Run, dispatcher.Run} {
			wg.Go(func() { run(ctx) })
		}
		want := map[order.ID]order.State{}
		for i := range 12 {
			o := freshOrder()
			s.reserve(t, o)
			if i%4 == 0 {
				s.release(t, o)
				want[o.ID] = order.Cancelled
			} else {
				s.settle(t, o)
				want[o.ID] = order.Shipped
			}
		}
		eventually(t, "all orders to come to their end", func() bool {
			states, err := s.orders.States(t.Context(), keysOf(want))
			if err != nil || len(states) != len(want) {
				return false
			}
			for id, state := range want {
				if states[id] != state || (state == order.Shipped && post.count(id) < 2) {
					return false
				}
			}
			return true
		})
		stop()
		wg.Wait()
		s.wantStock(t, 100-9*2, 100-9)
		if got := deadLetters(t, db); len(got) != 0 {
			t.Errorf("letters: %v", got)
		}
		for id, state := range want {
			if n := truck.count(id); (state == order.Shipped) != (n > 0) {
				t.Errorf("the carrier was called %d times for an order that is %v", n, state)
			}
		}
	})
}

func keysOf(m map[order.ID]order.State) []order.ID {
	var out []order.ID
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// fakeRefusingOnce is a carrier and a mail client that refuse every order the first time.
type fakeRefusingOnce struct {
	mu   sync.Mutex
	seen map[order.ID]int
}

func (m *fakeRefusingOnce) Ship(_ context.Context, o order.Order) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[o.ID]++; m.seen[o.ID] == 1 {
		return errDown
	}
	return nil
}

func (m *fakeRefusingOnce) Send(ctx context.Context, mails []order.Mail) []error {
	errs := make([]error, len(mails))
	for i, mail := range mails {
		errs[i] = m.Ship(ctx, mail.Order)
	}
	return errs
}

func (m *fakeRefusingOnce) count(id order.ID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[id]
}
