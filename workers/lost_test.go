package workers_test

import (
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// charge writes the order's successful charge to the ledger.
func charge(t *testing.T, ledger *store.Charges, o order.Order) {
	t.Helper()
	if _, err := ledger.Record(t.Context(), order.Charge{
		OrderID: o.ID, ChargeID: string(order.NewID(0, time.Now())), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 898},
	}); err != nil {
		t.Fatal(err)
	}
}

// wantUnreconciled checks which closed epochs are still to be reconciled.
func (s *shop) wantUnreconciled(t *testing.T, want ...int64) {
	t.Helper()
	open, err := s.sql.Unreconciled(t.Context(), 0, time.Now().Add(time.Hour))
	if err != nil || len(open) != len(want) {
		t.Fatalf("unreconciled epochs: %+v (%v); want %v", open, err, want)
	}
	for i, e := range open {
		if e.Number != want[i] {
			t.Errorf("unreconciled epochs: %+v; want %v", open, want)
		}
	}
}

// TestLostOrders_ChargeOfAHotOrder: an order is charged and Redis has it, but SQL has no row of it and its stock is back. It keeps its epoch
// unreconciled, so that its charge is refunded if Redis loses the order later. The charges of other orders are refunded at once.
func TestLostOrders_ChargeOfAHotOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		hot, lost := freshOrder(), freshOrder()
		for _, o := range []order.Order{hot, lost} {
			s.reserve(t, o)
			s.release(t, o)
		}
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		s.nextEpoch(t)
		// Their charges were in flight when the epoch ended.
		charge(t, ledger, hot)
		charge(t, ledger, lost)
		s.forget(t, lost.ID)
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, store.NewCancellations(db), quiet)
		worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
		mustRun(t, worker.RunOnce, 1)
		s.wantUnreconciled(t, 1)
		mustRun(t, worker.RunOnce, 0)
		s.wantUnreconciled(t, 1)
		s.forget(t, hot.ID)
		mustRun(t, worker.RunOnce, 1)
		s.wantUnreconciled(t)
	})
}

// tooLateForTheEpoch is how long after an epoch has ended no process takes orders in it any more, also one that was cut off: 15 s.
const tooLateForTheEpoch = 16 * time.Second

// TestLostOrders_ChargeOfAHotOrderOfTheNextEpoch: it is none of the closed epoch's orders, which is therefore reconciled.
func TestLostOrders_ChargeOfAHotOrderOfTheNextEpoch(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.nextEpoch(t)
	next := freshOrder()
	next.ID = order.NewID(0, time.Now().Add(tooLateForTheEpoch))
	s.reserve(t, next)
	ledger := store.NewCharges(s.db)
	t.Cleanup(ledger.Close)
	charge(t, ledger, next)
	worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, store.NewCancellations(s.db), quiet)
	worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	mustRun(t, worker.RunOnce, 0)
	s.wantUnreconciled(t)
}

// TestLostOrders_EpochThatFails: the log of the first epoch cannot be read. The lost orders of the second are found all the same.
func TestLostOrders_EpochThatFails(t *testing.T) {
	dsn := realparts.MySQL(t)
	db := openDB(t, dsn)
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := openShop(t, db)
	for range 2 {
		lost := freshOrder()
		s.reserve(t, lost)
		s.flush(t)
		s.nextEpoch(t)
		s.forget(t, lost.ID)
	}
	raw, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), "UPDATE stock_dedup_log SET orders = 'garbage' WHERE epoch = 1"); err != nil {
		t.Fatal(err)
	}
	ledger := store.NewCharges(db)
	t.Cleanup(ledger.Close)
	worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{3}, store.NewCancellations(db), quiet)
	worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	if n, err := worker.RunOnce(t.Context()); n != 1 || err == nil || !strings.Contains(err.Error(), "epoch 1") {
		t.Errorf("found %d lost orders (%v); want that of epoch 2, and the error of epoch 1", n, err)
	}
	s.wantUnreconciled(t, 1)
}

// discard writes an order's dead letter of the order writer, and discards it.
func (s *shop) discard(t *testing.T, o order.Order) {
	t.Helper()
	key := "order_writer/order/" + string(o.ID)
	if err := s.dead.Put(t.Context(), store.DeadLetter{DedupKey: key, Source: "order_writer", OrderID: string(o.ID), Reason: "bad row"}); err != nil {
		t.Fatal(err)
	}
	if err := s.dead.Discard(t.Context(), deadLetters(t, s.db)[key].ID, store.DeadLetterAction{Actor: "op"}); err != nil {
		t.Fatal(err)
	}
}

// TestLostOrders_DiscardedDeadLetter: SQL could not take the rows of hot orders, and an operator discarded their dead letters. They do not
// keep their epoch unreconciled: their units return once, their charges are refunded, and Redis forgets them.
func TestLostOrders_DiscardedDeadLetter(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		pending, paid, open := freshOrder(), freshOrder(), freshOrder()
		for _, o := range []order.Order{pending, paid, open} {
			s.reserve(t, o)
		}
		s.settle(t, paid)
		s.flush(t)
		s.discard(t, pending)
		s.discard(t, paid)
		letter := store.DeadLetter{DedupKey: "order_writer/order/open", Source: "order_writer", OrderID: string(open.ID), Reason: "bad row"}
		if err := s.dead.Put(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		charge(t, ledger, paid)
		charge(t, ledger, pending)
		s.nextEpoch(t)
		s.wantStock(t, 94, 97)
		cancellations := store.NewCancellations(db)
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, cancellations, quiet)
		worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
		mustRun(t, worker.RunOnce, 2)
		s.wantUnreconciled(t)
		s.wantTTL(t, pending.ID, true)
		s.wantTTL(t, paid.ID, true)
		s.wantTTL(t, open.ID, false)

		money := newFakePayments(&fakeCrash{}, pending, paid)
		finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
		for i := range 3 {
			finisher.SetClock(func() time.Time { return time.Now().Add(time.Duration(i) * time.Hour) })
			if _, err := finisher.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.flush(t)
		}
		s.wantStock(t, 98, 99) // The order with an open dead letter has the others.
		if money.refunds[pending.ID] != 1 || money.refunds[paid.ID] != 1 {
			t.Errorf("refunds: %v; want one of each order", money.refunds)
		}
	})
}

// TestLostOrders_DeadLetterDiscardedAfterReconciliation: an order with an open dead letter did not keep its epoch unreconciled. When it is
// discarded, the epoch is scanned again: its units return once, its charge is refunded, and Redis forgets it.
func TestLostOrders_DeadLetterDiscardedAfterReconciliation(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		s.settle(t, o)
		s.flush(t)
		ledger, cancellations := store.NewCharges(db), store.NewCancellations(db)
		t.Cleanup(ledger.Close)
		charge(t, ledger, o)
		key := "order_writer/order/" + string(o.ID)
		if err := s.dead.Put(t.Context(), store.DeadLetter{DedupKey: key, Source: "order_writer", OrderID: string(o.ID), Reason: "bad row"}); err != nil {
			t.Fatal(err)
		}
		s.nextEpoch(t)
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, cancellations, quiet)
		worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
		mustRun(t, worker.RunOnce, 0)
		s.wantUnreconciled(t)

		s.discard(t, o)
		s.wantUnreconciled(t, 1)
		mustRun(t, worker.RunOnce, 1)
		s.wantUnreconciled(t)
		s.wantTTL(t, o.ID, true)
		money := newFakePayments(&fakeCrash{}, o)
		mustRun(t, workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet).RunOnce, 1)
		s.flush(t)
		s.wantStock(t, 100, 100)
		if money.refunds[o.ID] != 1 {
			t.Errorf("refunds: %v; want one", money.refunds)
		}
	})
}

// TestLostOrders_DiscardedDuringTheScan: a dead letter that is discarded after the scan has read the orders keeps the epoch unreconciled.
func TestLostOrders_DiscardedDuringTheScan(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		s.flush(t)
		s.nextEpoch(t)
		discards, err := s.sql.Discards(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.discard(t, o)
		if err := s.sql.Reconciled(t.Context(), 0, 1, discards); err != nil {
			t.Fatal(err)
		}
		s.wantUnreconciled(t, 1)
		if err := s.sql.Reconciled(t.Context(), 0, 1, discards+1); err != nil {
			t.Fatal(err)
		}
		s.wantUnreconciled(t)
	})
}

// TestLostOrders_DiscardedDeadLetterAfterACrash: the order was given up in Redis, and its cancellation was not enqueued. Its units return once.
func TestLostOrders_DiscardedDeadLetterAfterACrash(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.flush(t)
	s.discard(t, o)
	s.nextEpoch(t)
	s.release(t, o)
	s.flush(t)
	s.wantStock(t, 100, 100)
	ledger := store.NewCharges(s.db)
	t.Cleanup(ledger.Close)
	cancellations := store.NewCancellations(s.db)
	worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, cancellations, quiet)
	worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	mustRun(t, worker.RunOnce, 1)
	s.wantUnreconciled(t)
	s.wantTTL(t, o.ID, true)
	mustRun(t, workers.NewCancellationFinisher(cancellations, newFakePayments(&fakeCrash{}), s.Stock, quiet).RunOnce, 1)
	s.flush(t)
	s.wantStock(t, 100, 100)
}
