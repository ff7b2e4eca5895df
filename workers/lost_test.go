package workers_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
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
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &journals{2}, store.NewCancellations(db), quiet)
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

// TestLostOrders_ChargeOfAHotOrderOfTheNextEpoch: it is none of the closed epoch's orders, which is therefore reconciled.
func TestLostOrders_ChargeOfAHotOrderOfTheNextEpoch(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.nextEpoch(t)
	next := freshOrder()
	next.ID = order.NewID(0, time.Now().Add(time.Second))
	s.reserve(t, next)
	ledger := store.NewCharges(s.db)
	t.Cleanup(ledger.Close)
	charge(t, ledger, next)
	worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &journals{2}, store.NewCancellations(s.db), quiet)
	worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	mustRun(t, worker.RunOnce, 0)
	s.wantUnreconciled(t)
}
