package workers_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// repairer repairs at once what is not in SQL.
func (s *shop) repairer(cancel workers.Canceller, with ...func(*workers.RepairConfig)) *workers.OrderRepairer {
	cfg := workers.DefaultRepairConfig()
	cfg.After, cfg.MailAfter, cfg.Interval = 0, 0, checkInterval
	for _, f := range with {
		f(&cfg)
	}
	return workers.NewOrderRepairer(cfg, workers.RepairParts{
		Stock: s.sql, Orders: s.orders, DeadLetters: s.dead, Mails: store.NewMails(s.db), Cache: s.Stock, Cancel: cancel, Log: quiet,
		Writer:   workers.NewOrderWriter(workers.DefaultWriterConfig(), nil, s.orders, s.dead, s.Stock, cancel, quiet),
		Payments: newFakePayments(&fakeCrash{}),
	})
}

// mustRepair runs the repairer once and checks how many orders it repaired.
func mustRepair(t *testing.T, r *workers.OrderRepairer, want int) {
	t.Helper()
	if n, err := r.RunOnce(t.Context()); err != nil || n != want {
		t.Errorf("repaired %d orders (%v); want %d", n, err, want)
	}
}

// wantTTL checks whether the order's record in Redis has a TTL.
func (s *shop) wantTTL(t *testing.T, id order.ID, want bool) {
	t.Helper()
	c := s.redis.Client()
	ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Order(id)).Build()).AsInt64()
	if err != nil || (ttl > 0) != want {
		t.Errorf("the TTL of %s is %d (%v); want one: %v", id, ttl, err, want)
	}
}

// TestOrderRepairer_OrderWithoutRow: its message was lost. The order in Redis is written once, in whatever state it is.
func TestOrderRepairer_OrderWithoutRow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		pending, paid, cancelled := freshOrder(), freshOrder(), freshOrder()
		for _, o := range []order.Order{pending, paid, cancelled} {
			s.reserve(t, o)
		}
		s.settle(t, paid)
		s.release(t, cancelled)
		r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.LogPage, c.Page = 1, 2 })
		mustRepair(t, r, 0) // Nothing is flushed.
		s.flush(t)
		mustRepair(t, r, 4) // Three orders and one confirmation.
		wantState(t, s.orders, pending.ID, order.Pending)
		wantState(t, s.orders, paid.ID, order.Paid)
		wantState(t, s.orders, cancelled.ID, order.Cancelled)
		s.wantTTL(t, pending.ID, false)
		s.wantTTL(t, paid.ID, true)
		s.wantTTL(t, cancelled.ID, true)
		if o, err := s.orders.Get(t.Context(), cancelled.ID); err != nil || o.CancelReason.Text != "declined" {
			t.Errorf("it was cancelled because %q (%v)", o.CancelReason, err)
		}
		mustRepair(t, r, 0)
		mustRepair(t, s.repairer(&fakeCanceller{}), 0)
	})
}

// TestOrderRepairer_PendingInSQL: SQL missed the order's later state, also in an epoch that is closed by now, and also of an order that
// may still be paid.
func TestOrderRepairer_PendingInSQL(t *testing.T) {
	for name, closed := range map[string]bool{"open epoch": false, "closed epoch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t, openSQLite(t))
			pending, paid, cancelled := freshOrder(), freshOrder(), freshOrder()
			paid.ExpiresAt = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
			for _, o := range []order.Order{pending, paid, cancelled} {
				s.reserve(t, o)
			}
			drained(t, s.flusher(s.sql, withOrders).RunOnce)
			s.settle(t, paid)
			s.release(t, cancelled)
			r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.Page = 1 })
			mustRepair(t, r, 0)
			wantState(t, s.orders, paid.ID, order.Pending) // Its entry is not flushed.
			if closed {
				older := s.copyOf(t)
				s.reserve(t, freshOrder())
				s.flush(t)
				s.promote(t, older)
			}
			s.flush(t)
			mustRepair(t, r, 3) // Two orders and one confirmation.
			wantState(t, s.orders, pending.ID, order.Pending)
			wantState(t, s.orders, paid.ID, order.Paid)
			wantState(t, s.orders, cancelled.ID, order.Cancelled)
			s.wantTTL(t, paid.ID, true)
			mustRepair(t, r, 0)
		})
	}
}

// TestOrderRepairer_YoungOrders are left to the queue.
func TestOrderRepairer_YoungOrders(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	missing, pending := freshOrder(), freshOrder()
	s.reserve(t, pending)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	s.settle(t, pending)
	s.settleAll(t, missing)
	s.flush(t)
	if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: freshOrder(), To: order.Paid, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.After, c.MailAfter = time.Minute, time.Minute })
	mustRepair(t, r, 0)
	r.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	mustRepair(t, r, 2+3) // Both orders, and the confirmations of all three.
}

// settleAll reserves and settles orders.
func (s *shop) settleAll(t *testing.T, orders ...order.Order) {
	t.Helper()
	for _, o := range orders {
		s.reserve(t, o)
		s.settle(t, o)
	}
}

// TestOrderRepairer_OrderWithDeadLetter is left to an operator.
func TestOrderRepairer_OrderWithDeadLetter(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.settleAll(t, o)
	s.flush(t)
	if err := s.dead.Put(t.Context(), store.DeadLetter{DedupKey: "k", Source: "order_writer", OrderID: string(o.ID), Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	mustRepair(t, s.repairer(&fakeCanceller{}), 0)
	wantNoRow(t, s.orders, o.ID)
}

// TestOrderRepairer_RecordThatCannotBeRead: the other orders are repaired.
func TestOrderRepairer_RecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	bad, good := freshOrder(), freshOrder()
	s.settleAll(t, bad, good)
	s.flush(t)
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Hset().Key(s.keys.Order(bad.ID)).FieldValue().FieldValue("snapshot", "\xff").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	mustRepair(t, s.repairer(&fakeCanceller{}), 2)
	wantState(t, s.orders, good.ID, order.Paid)
	wantNoRow(t, s.orders, bad.ID)
}

// TestOrderRepairer_ConfirmationMissing: it becomes due, unless it was sent, is due, or is a dead letter.
func TestOrderRepairer_ConfirmationMissing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s, mails := openShop(t, db), store.NewMails(db)
		paid, shipped, failed, sent, due, dead, pending := freshOrder(), freshOrder(), freshOrder(), freshOrder(), freshOrder(), freshOrder(), freshOrder()
		var changes []order.Event
		for _, o := range []order.Order{paid, shipped, failed, sent, due, dead} {
			changes = append(changes, order.Event{Order: o, To: order.Paid, At: time.Now()})
		}
		changes = append(changes, order.Event{Order: pending, To: order.Pending, At: time.Now()})
		if _, err := s.orders.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		_, err := s.orders.Ship(t.Context(), []order.Shipment{{OrderID: shipped.ID, TrackingID: "T", ShippedAt: time.Now()}})
		for _, e := range []error{
			err, s.orders.MarkShipFailed(t.Context(), []order.ID{failed.ID}), mails.MarkSent(t.Context(), []order.SentMail{{MailID: order.MailID{OrderID: sent.ID, Kind: order.MailConfirmation}}}),
			mails.AddDue(t.Context(), due.ID, order.MailConfirmation),
			s.dead.Put(t.Context(), store.DeadLetter{DedupKey: "mailer/order/" + string(dead.ID), Source: "mailer", OrderID: string(dead.ID), Reason: "r"}),
		} {
			if e != nil {
				t.Fatal(e)
			}
		}
		r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.Page = 2 })
		mustRepair(t, r, 3)
		mustRepair(t, r, 0)
		mustRepair(t, s.repairer(&fakeCanceller{}), 0)
		got := map[order.ID]order.MailKind{}
		all, err := mails.LeaseDue(t.Context(), 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.Kind == order.MailConfirmation {
				got[m.OrderID] = m.Kind
			}
		}
		if len(got) != 4 || got[paid.ID] == "" || got[shipped.ID] == "" || got[failed.ID] == "" || got[due.ID] == "" {
			t.Errorf("due are %v; want those of %s, %s, %s and %s", got, paid.ID, shipped.ID, failed.ID, due.ID)
		}
	})
}

// TestOrderRepairer_ManyMailsDue: no confirmations are made due while the mail dispatcher is behind.
func TestOrderRepairer_ManyMailsDue(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	mails := store.NewMails(s.db)
	due, missing := freshOrder(), freshOrder()
	if err := mails.AddDue(t.Context(), due.ID, order.MailShipped); err != nil {
		t.Fatal(err)
	}
	if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: missing, To: order.Paid, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.MaxMailsDue = 1 })
	mustRepair(t, r, 0)
	all, err := mails.LeaseDue(t.Context(), 1, time.Minute)
	if err == nil {
		err = mails.DropDue(t.Context(), []int64{all[0].ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	mustRepair(t, r, 1)
}

// TestOrderRepairer_RowWrittenLate: the order was paid, by its row, before what was scanned already.
func TestOrderRepairer_RowWrittenLate(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	now := time.Now()
	r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.RescanInterval, c.RescanBack = 10*time.Minute, 30*time.Minute })
	r.SetClock(func() time.Time { return now })
	write := func(ago time.Duration) {
		t.Helper()
		if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: freshOrder(), To: order.Paid, At: now.Add(-ago)}}); err != nil {
			t.Fatal(err)
		}
	}
	write(time.Minute)
	mustRepair(t, r, 1)
	write(20 * time.Minute)
	mustRepair(t, r, 0)
	now = now.Add(10 * time.Minute)
	mustRepair(t, r, 1)
}

// TestOrderRepairer_RecordWithoutTTL: the one call that should have set it failed.
func TestOrderRepairer_RecordWithoutTTL(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	pending, paid, shipped, cancelled, paidThenCancelled := freshOrder(), freshOrder(), freshOrder(), freshOrder(), freshOrder()
	s.reserve(t, pending)
	s.reserve(t, cancelled)
	s.settleAll(t, paid, shipped, paidThenCancelled)
	s.release(t, cancelled)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	_, err1 := s.orders.Ship(t.Context(), []order.Shipment{{OrderID: shipped.ID, TrackingID: "T", ShippedAt: time.Now()}})
	_, err2 := store.NewCancellations(s.db).Cancel(t.Context(), paidThenCancelled.ID, []order.State{order.Paid}, order.CancelReason{Text: "by the customer"}, "c1")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if _, err := s.repairer(&fakeCanceller{}).RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []order.Order{paid, shipped, cancelled, paidThenCancelled} {
		s.wantTTL(t, o.ID, true)
	}
	s.wantTTL(t, pending.ID, false)
}

// TestOrderRepairer_EndedWhileRedisWasAway: orders that Redis has as PENDING were paid and cancelled in SQL. Their records are needed no longer, and they are not
// unpaid any more.
func TestOrderRepairer_EndedWhileRedisWasAway(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	pending, paid, cancelled := freshOrder(), freshOrder(), freshOrder()
	for i, o := range []order.Order{pending, paid, cancelled} {
		o.CustomerID = order.CustomerID(fmt.Sprint("c", i))
		if _, err := s.Reserve(t.Context(), stock.Request{
			OrderID: o.ID, Customer: o.CustomerID, Key: string(o.ID), Fingerprint: o.Fingerprint, Demand: o.Demand(), Snapshot: snapshot(o), PayLater: true,
		}); err != nil {
			t.Fatal(err)
		}
	}
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	before := s.copyOf(t)
	_, err1 := s.orders.Apply(t.Context(), []order.Event{{Order: paid, To: order.Paid, At: time.Now()}})
	_, err2 := store.NewCancellations(s.db).Cancel(t.Context(), cancelled.ID, []order.State{order.Pending}, order.CancelReason{Text: "by the customer"}, "c2")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	c := s.redis.Client()
	delete(before, s.keys.Epoch()) // So that the next epoch is opened.
	s.promote(t, before)
	if _, err := s.repairer(&fakeCanceller{}).RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantTTL(t, pending.ID, false)
	s.wantTTL(t, paid.ID, true)
	s.wantTTL(t, cancelled.ID, true)
	if ids, err := c.Do(t.Context(), c.B().Zrange().Key(s.keys.Unpaid()[0]).Min("0").Max("-1").Build()).AsStrSlice(); err != nil ||
		!slices.Equal(ids, []string{string(pending.ID)}) {
		t.Errorf("unpaid: %v (%v); want %s", ids, err, pending.ID)
	}
}

// TestOrderRepairer_DuplicateThatWasNotUndone: its message was lost, and so was the request that waited for its row.
func TestOrderRepairer_DuplicateThatWasNotUndone(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	first, second := anOrder("same"), anOrder("same")
	s.settleAll(t, first, second)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	money := newFakePayments(&fakeCrash{}, first, second)
	r := s.repairer(workers.NewDuplicateCanceller(s.Stock, money))
	if _, err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.flush(t)
	s.wantStock(t, 98, 99)
	if money.refunds[first.ID]+money.refunds[second.ID] != 1 {
		t.Errorf("refunds: %v; want one", money.refunds)
	}
}

// TestOrderRepairer_Run repairs while orders come in.
func TestOrderRepairer_Run(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.repairer(&fakeCanceller{}).Run(ctx) }()
	for range 5 {
		o := freshOrder()
		s.settleAll(t, o)
		s.flush(t)
		eventually(t, "the order's row", func() bool {
			got, err := s.orders.Get(t.Context(), o.ID)
			return err == nil && got.State == order.Paid
		})
	}
	stop()
	<-done
}

// TestPaymentReconciler_PaidInRedisAndPendingInSQL is logged once, not with each scan, until the order repairer writes it to SQL.
func TestPaymentReconciler_PaidInRedisAndPendingInSQL(t *testing.T) {
	t.Parallel()
	s := openShop(t, openSQLite(t))
	o, log := freshOrder(), &bytes.Buffer{}
	s.reserve(t, o)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	s.settle(t, o)
	s.flush(t)
	reconciler := workers.NewPaymentReconciler(workers.ReconcileConfig{After: time.Millisecond, Lookback: time.Hour}, s.orders,
		store.NewCancellations(s.db), newFakePayments(&fakeCrash{}, o), s.Stock, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for range 5 {
		if _, err := reconciler.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "is paid"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log)
	}
	mustRepair(t, s.repairer(&fakeCanceller{}), 2) // The order and its confirmation.
	wantState(t, s.orders, o.ID, order.Paid)
}
