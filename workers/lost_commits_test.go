package workers_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// keeping makes the relay keep the entries that it has sent.
func keeping(c *workers.RelayConfig) { c.Keep, c.KeepMax = 10*time.Second, 1000 }

// copySQLite returns a copy of the shop's database as it is now: a server that takes over has lost what is committed after it.
func (s *shop) copySQLite(t *testing.T, path string) *store.DB {
	t.Helper()
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	older := filepath.Join(t.TempDir(), "older.db")
	if _, err := raw.ExecContext(t.Context(), "VACUUM INTO ?", older); err != nil {
		t.Fatal(err)
	}
	return openDB(t, "sqlite:"+older)
}

// failOver makes the database that of the shop.
func (s *shop) failOver(db *store.DB) {
	s.db, s.sql, s.orders, s.dead = db, store.NewStock(db), store.NewOrders(db), store.NewDeadLetters(db)
}

// TestStockFlusher_SQLLostCommitsThatTheJournalKeeps: entries were flushed and sent, and SQL has lost both the deductions and the rows. They are flushed
// and sent again, also those that SQL has flushed: their rows may be lost.
func TestStockFlusher_SQLLostCommitsThatTheJournalKeeps(t *testing.T) {
	path := sqlitePath(t)
	s, out := openShop(t, openDB(t, "sqlite:"+path)), &fakeProducer{}
	relay := s.relay(out, keeping)
	first, second := freshOrder(), freshOrder()
	s.reserve(t, first)
	s.settle(t, first)
	f := s.flusher(s.sql)
	drained(t, f.RunOnce)
	mustRun(t, relay.RunOnce, 2)
	older := s.copySQLite(t, path)
	s.reserve(t, second)
	drained(t, f.RunOnce)
	mustRun(t, relay.RunOnce, 1)
	wantSent(t, out, first, second)

	s.failOver(older)
	var lost []int64
	drained(t, s.flusher(s.sql).OnInconsistency(func(epoch int64) { lost = append(lost, epoch) }).RunOnce)
	s.wantStock(t, 96, 98)
	if len(lost) > 0 {
		t.Errorf("the epoch %v is to be closed; the journal has all that was lost", lost)
	}
	again := &fakeProducer{}
	mustRun(t, s.relay(again, keeping).RunOnce, 3)
	wantSent(t, again, first, second)
	// Once.
	drained(t, s.flusher(s.sql).RunOnce)
	mustRun(t, s.relay(&fakeProducer{}, keeping).RunOnce, 0)
}

// TestOrderRelay_RowsThatSQLLost: SQL has lost rows, after a minute in which it was away the hot orders have expired, and the queue drops the messages that are
// sent again. The relay has written the rows itself; those of entries that were never sent before it leaves to the order writer.
func TestOrderRelay_RowsThatSQLLost(t *testing.T) {
	path := sqlitePath(t)
	s := openShop(t, openDB(t, "sqlite:"+path))
	older := s.copySQLite(t, path)
	paid, declined, fresh := freshOrder(), freshOrder(), freshOrder()
	for _, o := range []order.Order{paid, declined} {
		s.reserve(t, o)
	}
	s.settle(t, paid)
	s.release(t, declined)
	f := s.flusher(s.sql)
	drained(t, f.RunOnce)
	mustRun(t, s.relay(&fakeProducer{}, keeping).WithRows(s.orders).RunOnce, 4)
	if found, err := s.orders.ByIDs(t.Context(), []order.ID{paid.ID, declined.ID}); err != nil || len(found) > 0 {
		t.Errorf("the relay wrote the rows of %d orders (%v) that are sent for the first time", len(found), err)
	}

	s.failOver(older)
	for _, o := range []order.Order{paid, declined} {
		s.forget(t, o.ID)
	}
	s.reserve(t, fresh)
	drained(t, s.flusher(s.sql).RunOnce)
	mustRun(t, s.relay(&fakeProducer{}, keeping).WithRows(s.orders).RunOnce, 5)
	found, err := s.orders.ByIDs(t.Context(), []order.ID{paid.ID, declined.ID, fresh.ID})
	if err != nil || len(found) != 2 || found[paid.ID].State != order.Paid || found[declined.ID].State != order.Cancelled {
		t.Errorf("SQL has %v (%v); want %s as PAID and %s as CANCELLED", found, err, paid.ID, declined.ID)
	}
}

// TestOrderRelay_BadRowAmongThoseThatSQLLost keeps no other row from being written (I10).
func TestOrderRelay_BadRowAmongThoseThatSQLLost(t *testing.T) {
	path := sqlitePath(t)
	s := openShop(t, openDB(t, "sqlite:"+path))
	older := s.copySQLite(t, path)
	rows := &stubRows{bad: make(map[order.ID]bool), written: make(map[order.ID]int)}
	var all []order.Order
	for range 5 {
		all = append(all, freshOrder())
		s.reserve(t, all[len(all)-1])
	}
	rows.bad[all[2].ID] = true
	drained(t, s.flusher(s.sql).RunOnce)
	mustRun(t, s.relay(&fakeProducer{}, keeping).RunOnce, 5)
	s.failOver(older)
	drained(t, s.flusher(s.sql).RunOnce)
	out := &fakeProducer{}
	mustRun(t, s.relay(out, keeping).WithRows(rows).RunOnce, 5)
	wantSent(t, out, all...) // The order writer makes the dead letter.
	if len(rows.written) != 4 {
		t.Errorf("the relay wrote the rows %v, want all but %s", rows.written, all[2].ID)
	}
}

// TestOrderRelay_SQLLostCommits: the relay finds it before the flusher does.
func TestOrderRelay_SQLLostCommits(t *testing.T) {
	path := sqlitePath(t)
	s, out, clock := openShop(t, openDB(t, "sqlite:"+path)), &fakeProducer{}, time.Now()
	older, st, o := s.copySQLite(t, path), &fakeAwayStore{FlushStore: s.sql}, freshOrder()
	relay := s.relayOn(st, out, keeping)
	relay.SetClock(func() time.Time { return clock })
	s.reserve(t, o)
	s.flush(t)
	mustRun(t, relay.RunOnce, 1)
	s.failOver(older)
	st.FlushStore, clock = s.sql, clock.Add(2*time.Second)
	mustRun(t, relay.RunOnce, 0) // It finds it.
	s.flush(t)
	s.wantStock(t, 98, 99)
	mustRun(t, relay.RunOnce, 1)
	wantSent(t, out, o, o)
}

// TestOrderRelay_KeepsWhatItSent for a while, and for as long as SQL cannot be read: what comes back may have lost commits.
func TestOrderRelay_KeepsWhatItSent(t *testing.T) {
	s, out, clock := openShop(t, openSQLite(t)), &fakeProducer{}, time.Now()
	st := &fakeAwayStore{FlushStore: s.sql}
	relay := s.relayOn(st, out, keeping)
	relay.SetClock(func() time.Time { return clock })
	pass := func(d time.Duration) {
		for range int(d / time.Second) {
			clock = clock.Add(time.Second)
			_, _ = relay.RunOnce(t.Context()) // It fails while SQL is away.
		}
	}
	epoch := s.reserve(t, freshOrder()).Epoch
	last := s.reserve(t, freshOrder())
	s.flush(t)
	mustRun(t, relay.RunOnce, 2)
	pass(9 * time.Second)
	if n := len(s.journalled(t, epoch)); n != 2 {
		t.Errorf("%d entries are left 9 s after they were sent; want 2", n)
	}
	st.away = true
	pass(time.Minute)
	st.away = false
	pass(9 * time.Second)
	if n := len(s.journalled(t, epoch)); n != 2 {
		t.Errorf("%d entries are left 9 s after SQL was back; want 2", n)
	}
	pass(4 * time.Second)
	if ids := s.journalled(t, epoch); !slices.Equal(ids, []string{last.ID}) { // The last one has nothing behind it.
		t.Errorf("the entries %v are left; want %s", ids, last.ID)
	}
}

// TestOrderRelay_KeepsWhatItSendsAgain: the flusher has found that SQL lost commits. What was sent long ago is not trimmed before it is sent again.
func TestOrderRelay_KeepsWhatItSendsAgain(t *testing.T) {
	path := sqlitePath(t)
	s, out, clock := openShop(t, openDB(t, "sqlite:"+path)), &fakeProducer{}, time.Now()
	older, st := s.copySQLite(t, path), &fakeAwayStore{FlushStore: s.sql}
	relay := s.relayOn(st, out, func(c *workers.RelayConfig) {
		keeping(c)
		c.Batch = 1
	})
	relay.SetClock(func() time.Time { return clock })
	var all []order.Order
	for range 6 {
		all = append(all, freshOrder())
		s.reserve(t, all[len(all)-1])
	}
	s.flush(t)
	for range all {
		mustRun(t, relay.RunOnce, 1)
	}
	for range 9 {
		clock = clock.Add(time.Second)
		mustRun(t, relay.RunOnce, 0)
	}
	s.failOver(older)
	st.FlushStore = s.sql
	s.flush(t)
	for range all {
		clock = clock.Add(time.Second)
		mustRun(t, relay.RunOnce, 1)
	}
	wantSent(t, out, append(slices.Clone(all), all...)...)
}

// TestOrderRelay_KeepsNoMoreThanMax entries.
func TestOrderRelay_KeepsNoMoreThanMax(t *testing.T) {
	s, out, clock := openShop(t, openSQLite(t)), &fakeProducer{}, time.Now()
	relay := s.relay(out, func(c *workers.RelayConfig) { c.Keep, c.KeepMax = time.Hour, 2 })
	relay.SetClock(func() time.Time { return clock })
	var epoch int64
	for range 12 {
		epoch = s.reserve(t, freshOrder()).Epoch
		s.flush(t)
		clock = clock.Add(time.Second)
		mustRun(t, relay.RunOnce, 1)
	}
	if n := len(s.journalled(t, epoch)); n > 9 { // Four times as many as KeepMax, and one: the entries are too near to each other for an estimate.
		t.Errorf("%d entries are left", n)
	}
}

// fakeAwayStore is a SQL that is away by turns.
type fakeAwayStore struct {
	workers.FlushStore
	away bool
}

func (s *fakeAwayStore) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	if s.away {
		return journal.Epoch{}, order.ErrUnavailable
	}
	return s.FlushStore.EpochAt(ctx, partition, number)
}

// TestStockFlusher_SQLLostACancellation: the journal has the restock of a paid order, and SQL, which lost its cancellation, has it as paid. Its units
// stay sold, and the counters, which include them, are rebuilt (I1).
func TestStockFlusher_SQLLostACancellation(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		s.settle(t, o)
		f := s.flusher(s.sql, withOrders).OnInconsistency(s.epochs.Invalidate)
		drained(t, f.RunOnce)
		epoch, err := s.OpenEpoch()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Restock(t.Context(), epoch, o.ID, o.CustomerID, []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}, "r"); err != nil {
			t.Fatal(err)
		}
		s.wantAvailable(t, 100, 100)
		drained(t, f.RunOnce)
		s.wantStock(t, 98, 99)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantAvailable(t, 98, 99)
	})
}

// TestOrderRepairer_RestoresCharges of paid orders that the ledger has lost, and asks for no others.
func TestOrderRepairer_RestoresCharges(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		lost, kept, pending := freshOrder(), freshOrder(), freshOrder()
		for _, o := range []order.Order{lost, kept, pending} {
			s.reserve(t, o)
		}
		s.settle(t, lost)
		s.settle(t, kept)
		charge(t, ledger, kept)
		s.flush(t)
		payments := &fakeFinder{}
		r := s.repairer(&fakeCanceller{}, func(*workers.RepairConfig) {})
		r.Payments = payments
		mustRepair(t, r, 5) // Three rows and two confirmations.
		if !slices.Equal(payments.found, []order.ID{lost.ID}) {
			t.Errorf("looked up the charges of %v; want %s", payments.found, lost.ID)
		}
	})
}

// fakeFinder notes which charges were looked up.
type fakeFinder struct {
	workers.PaymentClient
	found []order.ID
}

func (f *fakeFinder) Find(_ context.Context, id order.ID) (order.Charge, error) {
	f.found = append(f.found, id)
	return order.Charge{OrderID: id, State: order.ChargeSucceeded}, nil
}

// TestPaymentReconciler_SQLLostThePayment of an order that was placed without a card: its row is PENDING again, the ledger has no charge of it, and its time is
// over. It must not be cancelled, nor may its charge be refused: Redis has it as PAID, or has let it go, which it does with no order that is PENDING.
func TestPaymentReconciler_SQLLostThePayment(t *testing.T) {
	for name, gone := range map[string]bool{"PAID in Redis": false, "not in Redis any more": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t, openSQLite(t))
			o := freshOrder()
			o.ExpiresAt = at
			s.reserve(t, o)
			f := s.flusher(s.sql, withOrders)
			drained(t, f.RunOnce)
			if gone {
				s.forget(t, o.ID)
			} else {
				s.settle(t, o)
			}
			money := newFakePayments(&fakeCrash{})
			money.set(o, order.ChargeSucceeded)
			ledger := &fakeForgetfulLedger{fakePayments: money}
			if _, err := s.reconciler(ledger).RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			drained(t, f.RunOnce)
			wantState(t, s.orders, o.ID, order.Paid)
			if ledger.voided > 0 {
				t.Errorf("its charge was voided %d times", ledger.voided)
			}
		})
	}
}

// fakeForgetfulLedger is a payment service with a ledger that has lost a charge which the provider has.
type fakeForgetfulLedger struct {
	*fakePayments
	voided int
}

func (l *fakeForgetfulLedger) VoidUncharged(context.Context, order.ID) (bool, error) {
	l.voided++
	return true, nil
}

// TestOrderRepairer_SQLLostItsCommit: the queue did not deliver orders, the repairer wrote their rows, and SQL lost those. What has been sent is not sent again any more
// by then; the repairer finds the orders once more, and their records in Redis wait for that.
func TestOrderRepairer_SQLLostItsCommit(t *testing.T) {
	path := sqlitePath(t)
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	s, now := openShop(t, openDB(t, "sqlite:"+path)), time.Now()
	r := s.repairer(&fakeCanceller{}, func(c *workers.RepairConfig) { c.MailAfter, c.LogPage = time.Minute, 1 })
	r.SetClock(func() time.Time { return now })
	kept, lost := freshOrder(), freshOrder()
	for _, o := range []order.Order{kept, lost} {
		s.reserve(t, o)
		s.settle(t, o)
		s.flush(t)
	}
	now = time.Now()
	repair := func() {
		t.Helper()
		if _, err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, o := range []order.Order{kept, lost} {
			wantState(t, s.orders, o.ID, order.Paid)
		}
	}
	for range 3 { // It may be lost again.
		repair()
		s.wantTTL(t, lost.ID, false)
		for _, statement := range []string{"DELETE FROM order_items WHERE order_id = ?", "DELETE FROM orders WHERE id = ?"} {
			if _, err := raw.ExecContext(t.Context(), statement, lost.ID); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(11 * time.Second)
	}
	repair()
	now = now.Add(2 * time.Minute)
	repair()
	s.wantTTL(t, kept.ID, true)
	s.wantTTL(t, lost.ID, true)
}
