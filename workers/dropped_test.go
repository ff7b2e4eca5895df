package workers_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// fakeLossyConsumer is a consumer that loses every nth message for good, as a broker that never redelivers it.
type fakeLossyConsumer struct {
	queue.Consumer
	nth, seen, dropped int
}

func (d *fakeLossyConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	messages, err := d.Consumer.Receive(ctx, max, lease)
	var kept []queue.Message
	for _, m := range messages {
		if d.seen++; d.seen%d.nth != 0 {
			kept = append(kept, m)
			continue
		}
		d.dropped++
		if err := d.Ack(ctx, m); err != nil {
			return kept, err
		}
	}
	return kept, err
}

// fakeMailSender records in SQL what it sent, as the EmailService does.
type fakeMailSender struct{ mails *store.Mails }

func (f fakeMailSender) Send(ctx context.Context, mails []order.Mail) []error {
	sent, errs := make([]order.SentMail, len(mails)), make([]error, len(mails))
	for i, m := range mails {
		sent[i].MailID = m.ID()
	}
	if err := f.mails.MarkSent(ctx, sent); err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

type stubCarrier struct{}

func (stubCarrier) Ship(context.Context, order.Order) error { return nil }

// soon replaces the minute after which the recovery workers begin.
const soon = 300 * time.Millisecond

// TestQueue_EveryNthMessageOfOneGroupIsLost: each order reaches its final state nevertheless, with its mails, and the audit passes (I5).
func TestQueue_EveryNthMessageOfOneGroupIsLost(t *testing.T) {
	for _, group := range []string{"orders", "shipping", "mail"} {
		for _, durability := range []string{"journal", "sql"} {
			t.Run(group+", durability "+durability, func(t *testing.T) {
				t.Parallel()
				db := openDB(t, realparts.MySQL(t))
				if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
					t.Fatalf("migrate: %v", err)
				}
				runDropping(t, openShop(t, db), group, durability == "sql")
			})
		}
	}
}

func runDropping(t *testing.T, s *shop, group string, sqlDurable bool) {
	b := openQueue(t, s)
	lossy := &fakeLossyConsumer{Consumer: consumer(t, b, group), nth: 3}
	in := func(g string) queue.Consumer {
		if g == group {
			return lossy
		}
		return consumer(t, b, g)
	}
	producer, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range s.everyWorker(producer, in, stubCarrier{}, fakeMailSender{store.NewMails(s.db)}, sqlDurable) {
		wg.Go(func() { run(ctx) })
	}
	want := s.placeOrders(t, 24)
	ended := s.ended(want)
	within(t, 10*patience, "all orders to come to their end with their mails", func() bool { return ended(t) })
	stop()
	wg.Wait()
	if lossy.dropped < 3 {
		t.Errorf("only %d messages were dropped", lossy.dropped)
	}
	report, err := audit.Run(t.Context(), store.NewAudits(s.db), audit.Options{Drained: true})
	if err != nil || !report.OK {
		t.Errorf("the audit found %+v, %v", report.Violations, err)
	}
}

// everyWorker makes those on an order's path, and those that repair it.
func (s *shop) everyWorker(
	producer queue.Producer, in func(group string) queue.Consumer, carrier workers.ShippingClient, mail workers.MailClient, sqlDurable bool,
) []func(context.Context) {
	relayCfg := workers.DefaultRelayConfig("orders", "relay-1")
	relayCfg.Block, relayCfg.Batch = briefly, 2
	rescueCfg, dispatchCfg := workers.DefaultRescueConfig(), workers.DefaultDispatchConfig()
	rescueCfg.Old.Paid, rescueCfg.Interval, dispatchCfg.Interval = soon, checkInterval, checkInterval
	cancel := &fakeCanceller{}
	return []func(context.Context){
		s.flusher(s.sql, func(c *workers.FlushConfig) { c.WithOrders = sqlDurable }).Run,
		workers.NewOrderRelay(relayCfg, s.journal, s.sql, s.snapshots(), producer, s.dead, quiet).Run,
		workers.NewOrderWriter(workers.DefaultWriterConfig(), in("orders"), s.orders, s.dead, s.Stock, cancel, quiet).Run,
		workers.NewShipper(workers.DefaultShipConfig(), in("shipping"), s.orders, s.dead, carrier, quiet).Run,
		workers.NewMailer(workers.DefaultMailConfig(), in("mail"), store.NewMails(s.db), s.dead, mail, quiet).Run,
		workers.NewShipRescuer(rescueCfg, s.orders, carrier, quiet).Run,
		workers.NewMailDispatcher(dispatchCfg, store.NewMails(s.db), s.orders, mail, quiet).Run,
		s.repairer(cancel, func(c *workers.RepairConfig) { c.After, c.MailAfter = soon, 2*soon }).Run,
	}
}

// placeOrders places n orders one after the other, of which every fourth is declined, and returns how each must end. It calls each
// function with an order before it is placed.
func (s *shop) placeOrders(t *testing.T, n int, before ...func(order.Order)) map[order.ID]order.State {
	t.Helper()
	ledger := store.NewCharges(s.db)
	defer ledger.Close()
	want := map[order.ID]order.State{}
	for i := range n {
		o := freshOrder()
		for _, f := range before {
			f(o)
		}
		s.reserve(t, o)
		charge := order.Charge{
			OrderID:  o.ID,
			ChargeID: fmt.Sprint("ch-", i),
			State:    order.ChargeSucceeded,
			Amount:   order.Money{Currency: o.Currency, Amount: o.Total},
		}
		if want[o.ID] = order.Shipped; i%4 == 0 {
			want[o.ID], charge.State = order.Cancelled, order.ChargeDeclined
		}
		if _, err := ledger.Record(t.Context(), charge); err != nil {
			t.Fatal(err)
		}
		if want[o.ID] == order.Cancelled {
			s.release(t, o)
		} else {
			s.settle(t, o)
		}
	}
	return want
}

// ended returns a function that reports whether every order is in its final state, and whether all that were paid have their two mails. Each
// call continues with the orders that had not ended before: the polling of many orders must not keep the workers from their work.
func (s *shop) ended(want map[order.ID]order.State) func(t *testing.T) bool {
	left, mails := keysOf(want), store.NewMails(s.db)
	return func(t *testing.T) bool {
		t.Helper()
		for len(left) > 0 {
			next := left[:min(len(left), 20)]
			states, err := s.orders.States(t.Context(), next)
			if err != nil {
				return false
			}
			var both []order.MailID
			for _, id := range next {
				if state, ok := states[id]; !ok || state != want[id] {
					return false
				}
				if want[id] == order.Shipped {
					both = append(both, order.MailID{OrderID: id, Kind: order.MailConfirmation}, order.MailID{OrderID: id, Kind: order.MailShipped})
				}
			}
			if sent, err := mails.Sent(t.Context(), both); err != nil || len(sent) < len(both) {
				return false
			}
			left = left[len(next):]
		}
		return true
	}
}
