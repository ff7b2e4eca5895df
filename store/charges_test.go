package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestCharges_OneRowPerOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		var wg sync.WaitGroup
		var mu sync.Mutex
		lines := map[string]int{}
		id := order.NewID(0, at)
		for range 32 {
			wg.Go(func() {
				ch, err := ledger.Record(t.Context(), order.Charge{
					OrderID: id, ChargeID: string(order.NewID(0, at)), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 5},
				})
				if err != nil {
					t.Errorf("record: %v", err)
				}
				mu.Lock()
				defer mu.Unlock()
				lines[ch.ChargeID]++
			})
		}
		wg.Wait()
		if len(lines) != 1 {
			t.Errorf("one order has the lines %v", lines)
		}
		if _, err := ledger.Void(t.Context(), id, string(order.NewID(0, at)), "EUR"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("void after a charge: %v; want ErrFailedPrecondition", err)
		}
		first, _, err1 := ledger.Refund(t.Context(), id, "r1", "why")
		again, ch, err2 := ledger.Refund(t.Context(), id, "r2", "why")
		if err1 != nil || err2 != nil || first.RefundID != again.RefundID || ch.State != order.ChargeRefunding {
			t.Errorf("refund twice: %+v %v, %+v %v", first, err1, again, err2)
		}
	})
}

func TestAVoidedOrderIsNeverCharged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		id := order.NewID(0, at)
		if _, err := ledger.Void(t.Context(), id, "v1", "EUR"); err != nil {
			t.Fatal(err)
		}
		ch, err := ledger.Record(
			t.Context(),
			order.Charge{OrderID: id, ChargeID: "c1", State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 5}},
		)
		if err != nil || ch.State != order.ChargeVoided {
			t.Errorf("a late charge answered %+v, %v; want the tombstone", ch, err)
		}
		if _, _, err := ledger.Refund(t.Context(), id, "r", "why"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("refund of nothing: %v; want ErrFailedPrecondition", err)
		}
	})
}

func TestOrphans_ChargesWithoutAnOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		kept, lost := anOrder("kept"), anOrder("lost")
		mustApply(t, store.NewOrders(db), change(kept, order.Paid))
		for _, o := range []order.Order{kept, lost} {
			if _, err := ledger.Record(t.Context(), order.Charge{OrderID: o.ID, ChargeID: string(o.ID), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 5}}); err != nil {
				t.Fatal(err)
			}
		}
		orphans, err := ledger.Orphans(t.Context(), time.Now().Add(time.Minute), 10)
		if err != nil || len(orphans) != 1 || orphans[0].OrderID != lost.ID {
			t.Errorf("orphans = %+v, %v; want %s", orphans, err, lost.ID)
		}
	})
}
