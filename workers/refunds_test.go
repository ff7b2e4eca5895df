package workers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// fakeRefunder confirms refunds in the ledger once it works.
type fakeRefunder struct {
	ledger *store.Charges
	down   bool
	// at are the times of the calls.
	at  []time.Time
	now time.Time
}

func (f *fakeRefunder) ExecuteRefund(ctx context.Context, refundID string) error {
	f.at = append(f.at, f.now)
	if f.down {
		return errDown
	}
	refund, err := f.ledger.GetRefund(ctx, refundID)
	if err == nil {
		_, err = f.ledger.ConfirmRefund(ctx, refund)
	}
	return err
}

// TestRefundRetrier_RetriesUntilConfirmed: the backoff doubles up to five minutes, and retries do not end.
func TestRefundRetrier_RetriesUntilConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		id := order.NewID(0, time.Now())
		if _, err := ledger.Record(t.Context(), order.Charge{OrderID: id, ChargeID: string(id), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 5}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ledger.Refund(t.Context(), id, "r1", "why"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		f := &fakeRefunder{ledger: ledger, down: true}
		r := workers.NewRefundRetrier(ledger, f, quiet)
		r.SetClock(func() time.Time { return f.now })
		const step = time.Second // The worker looks once a second.
		for f.now = began; f.now.Before(began.Add(40 * time.Minute)); f.now = f.now.Add(step) {
			f.down = f.now.Before(began.Add(35 * time.Minute))
			if _, err := r.RunOnce(t.Context()); err != nil && !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		wants := []int{5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300} // seconds
		for i := 1; i < len(f.at); i++ {
			want := wants[min(i, len(wants))-1]
			if wait := int(f.at[i].Sub(f.at[i-1]).Seconds()); wait < want || wait > want+2 {
				t.Errorf("wait %d is %d s, want about %d", i, wait, want)
			}
		}
		ch, err := ledger.Get(t.Context(), id)
		if err != nil || ch.State != order.ChargeRefunded || len(f.at) < 10 {
			t.Errorf("after %d attempts the charge is in state %d (%v), want it refunded", len(f.at), ch.State, err)
		}
	})
}

// TestPaymentReconciler_ChargedButCancelled: Redis cancelled the order while it was charged, and its event is not in SQL yet. The charge is refunded.
func TestPaymentReconciler_ChargedButCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		f := s.flusher(s.sql, withOrders)
		drained(t, f.RunOnce)
		s.release(t, o)
		money := newFakePayments(&fakeCrash{}, o)
		if _, err := s.reconciler(money).RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		drained(t, f.RunOnce)
		finisher := workers.NewCancellationFinisher(store.NewCancellations(s.db), money, s.Stock, quiet)
		mustRun(t, finisher.RunOnce, 1)
		wantState(t, store.NewOrders(s.db), o.ID, order.Cancelled)
		if money.refunds[o.ID] != 1 {
			t.Errorf("the money went back %d times, want once", money.refunds[o.ID])
		}
		s.wantStock(t, 100, 100)
	})
}
