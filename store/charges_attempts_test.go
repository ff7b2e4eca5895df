package store_test

import (
	"sync"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestCharges_NextAttemptStartsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		id := order.NewID(0, at)
		declined, err := ledger.Record(t.Context(), order.Charge{
			OrderID: id, ChargeID: string(order.NewID(0, at)), State: order.ChargeDeclined, Amount: order.Money{Currency: "EUR", Amount: 5}, DeclineCode: "no",
		})
		if err != nil || declined.Attempt != 1 {
			t.Fatalf("recorded %+v, %v", declined, err)
		}
		var wg sync.WaitGroup
		lines := make([]order.Charge, 8)
		for i := range lines {
			wg.Go(func() {
				var err error
				if lines[i], err = ledger.NextAttempt(t.Context(), declined, string(order.NewID(0, at))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, l := range lines {
			if l != lines[0] || l.Attempt != 2 || l.State != order.ChargePending || l.ChargeID == declined.ChargeID || l.DeclineCode != "" {
				t.Errorf("attempts %+v and %+v; want one second attempt", lines[0], l)
			}
		}
		// The outcome of the first attempt is not that of the second.
		stale := lines[0]
		stale.Attempt = 1
		if l, err := ledger.ResolveAttempt(t.Context(), stale, order.ChargeDeclined, "no"); err != nil || l.State != order.ChargePending {
			t.Errorf("resolved by a stale attempt: %+v, %v", l, err)
		}
		if l, err := ledger.ResolveAttempt(t.Context(), lines[0], order.ChargeSucceeded, ""); err != nil || l.State != order.ChargeSucceeded {
			t.Errorf("resolved: %+v, %v", l, err)
		}
		for _, state := range []order.ChargeState{order.ChargePending, order.ChargeDeclined} {
			read := lines[0]
			read.State = state
			if l, err := ledger.ResolveAttempt(t.Context(), read, order.ChargeDeclined, "no"); err != nil || l.State != order.ChargeSucceeded {
				t.Errorf("a charge that succeeded was resolved again: %+v, %v", l, err)
			}
		}
		if l, err := ledger.NextAttempt(t.Context(), lines[0], "x"); err != nil || l.State != order.ChargeSucceeded || l.Attempt != 2 {
			t.Errorf("an attempt after a success: %+v, %v", l, err)
		}
	})
}

func TestCharges_VoidOfADeclinedCharge(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		defer ledger.Close()
		id := order.NewID(0, at)
		declined, err := ledger.Record(t.Context(), order.Charge{
			OrderID: id, ChargeID: string(order.NewID(0, at)), State: order.ChargeDeclined, Amount: order.Money{Currency: "EUR", Amount: 5}, DeclineCode: "no",
		})
		if err != nil {
			t.Fatal(err)
		}
		if l, err := ledger.Void(t.Context(), id, "v", "EUR"); err != nil || l.State != order.ChargeVoided || l.DeclineCode != "no" {
			t.Errorf("void: %+v, %v", l, err)
		}
		if l, err := ledger.NextAttempt(t.Context(), declined, "x"); err != nil || l.State != order.ChargeVoided {
			t.Errorf("an attempt of a voided order: %+v, %v", l, err)
		}
	})
}
