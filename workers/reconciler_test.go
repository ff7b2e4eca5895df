package workers_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

func (s *shop) reconciler(money workers.ReconcilerPayments) *workers.PaymentReconciler {
	cfg := workers.ReconcileConfig{After: time.Millisecond, Lookback: 24 * 365 * 100 * time.Hour}
	return workers.NewPaymentReconciler(cfg, store.NewOrders(s.db), store.NewCancellations(s.db), money, s.Stock, quiet)
}

// TestPaymentReconciler_PendingOrderEndsAsItsPayment, whether Redis still has the order or has lost it after SQL had it.
func TestPaymentReconciler_PendingOrderEndsAsItsPayment(t *testing.T) {
	for name, c := range map[string]struct {
		charge order.ChargeState
		late   bool // it is paid later, and its time is over
		want   order.State
		reason order.CancelCode
		left   int64
	}{
		"charged":       {order.ChargeSucceeded, false, order.Paid, "", 98},
		"declined":      {order.ChargeDeclined, false, order.Cancelled, order.CancelDeclined, 100},
		"voided":        {order.ChargeVoided, false, order.Cancelled, order.CancelPaymentVoided, 100},
		"never charged": {order.ChargeNone, false, order.Cancelled, order.CancelPaymentUnknown, 100},
		"expired":       {order.ChargeNone, true, order.Cancelled, order.CancelExpired, 100},
		"declined late": {order.ChargeDeclined, true, order.Cancelled, order.CancelExpired, 100},
		"paid in time":  {order.ChargeSucceeded, true, order.Paid, "", 98},
	} {
		for _, lost := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", lost by Redis"}[lost], func(t *testing.T) {
				t.Parallel()
				s := openShop(t, openSQLite(t))
				o := freshOrder()
				if c.late {
					o.ExpiresAt = at
				}
				s.reserve(t, o)
				f := s.flusher(s.sql, withOrders)
				drained(t, f.RunOnce)
				if lost {
					s.forget(t, o.ID)
				}
				money := newFakePayments(&fakeCrash{})
				if c.charge != order.ChargeNone {
					money.set(o, c.charge)
				}
				if _, err := s.reconciler(money).RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				finisher := workers.NewCancellationFinisher(store.NewCancellations(s.db), money, s.Stock, quiet)
				for range 3 {
					drained(t, f.RunOnce)
					if _, err := finisher.RunOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				drained(t, f.RunOnce)
				got, err := store.NewOrders(s.db).Get(t.Context(), o.ID)
				if err != nil || got.State != c.want || got.CancelReason.Code != c.reason {
					t.Errorf("it is %s because %v (%v); want %s because %q", got.State, got.CancelReason, err, c.want, c.reason)
				}
				s.wantStock(t, c.left, c.left+1-(c.left/100))
				if c.want == order.Cancelled && money.charges[o.ID].State == order.ChargeNone {
					t.Error("nothing refuses a late charge")
				}
				if c.late && c.want == order.Cancelled && money.charges[o.ID].State != order.ChargeVoided {
					t.Error("nothing refuses another card")
				}
			})
		}
	}
}

// forget removes an order's record from Redis, as if Redis had lost it.
func (s *shop) forget(t *testing.T, id order.ID) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Order(id)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// fakeUnavailablePayments is a payment service with an unavailable provider: it has a charge of unknown outcome, and cannot void it.
type fakeUnavailablePayments struct{ *fakePayments }

func (fakeUnavailablePayments) VoidUncharged(context.Context, order.ID) (bool, error) {
	return false, nil
}

func (fakeUnavailablePayments) Void(context.Context, order.ID) error { return order.ErrUnavailable }

// TestPaymentReconciler_UnpaidCountWhileTheProviderIsUnavailable: an expired order that cannot be voided is counted as unpaid, although Redis
// has not counted it since its epoch ended.
func TestPaymentReconciler_UnpaidCountWhileTheProviderIsUnavailable(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	o.ExpiresAt = at
	s.reserve(t, o)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	s.nextEpoch(t)
	for range 2 {
		mustFail(t, s.reconciler(fakeUnavailablePayments{newFakePayments(&fakeCrash{})}).RunOnce, order.ErrUnavailable)
		c := s.redis.Client()
		counted, err := c.Do(t.Context(), c.B().Zrange().Key(s.keys.Unpaid()[0]).Min("0").Max("-1").Build()).AsStrSlice()
		if err != nil || !slices.Equal(counted, []string{string(o.ID)}) {
			t.Errorf("the orders %v are counted as unpaid (%v); want %s", counted, err, o.ID)
		}
	}
	if _, err := s.reconciler(newFakePayments(&fakeCrash{})).RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.redis.Client()
	unpaid := s.keys.Unpaid()
	if n, err := c.Do(t.Context(), c.B().Exists().Key(unpaid[:]...).Build()).AsInt64(); err != nil || n != 0 {
		t.Errorf("%d keys count unpaid orders (%v); want none", n, err)
	}
}

func TestPaymentReconciler_PayableOrderIsLeftAlone(t *testing.T) {
	s := openShop(t, openSQLite(t))
	later, declined := freshOrder(), freshOrder()
	for _, o := range []*order.Order{&later, &declined} {
		o.ExpiresAt = time.Now().Add(time.Hour)
		s.reserve(t, *o)
	}
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	money := newFakePayments(&fakeCrash{})
	money.set(declined, order.ChargeDeclined) // Another card can be tried.
	if n, err := s.reconciler(money).RunOnce(t.Context()); err != nil || n != 0 {
		t.Errorf("it handled %d orders (%v)", n, err)
	}
	wantState(t, store.NewOrders(s.db), later.ID, order.Pending)
	wantState(t, store.NewOrders(s.db), declined.ID, order.Pending)
}

// TestPaymentReconciler_FailingOrdersCostOnlyThemselves, however many and old they are: the others are reconciled.
func TestPaymentReconciler_FailingOrdersCostOnlyThemselves(t *testing.T) {
	const poisoned = 100 // as many as one look takes
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		money := newFakeCountingPayments()
		var changes []order.Event
		for range poisoned {
			o := freshOrder()
			money.poison[o.ID] = true
			changes = append(changes, order.Event{Order: o, To: order.Pending, At: at})
		}
		good := freshOrder()
		s.reserve(t, good)
		changes = append(changes, order.Event{Order: good, To: order.Pending, At: at.Add(time.Second)})
		if _, err := s.orders.Apply(t.Context(), changes); err != nil {
			t.Fatal(err)
		}
		money.set(good, order.ChargeDeclined)
		r := s.reconciler(money)
		for range 2 {
			if _, err := r.RunOnce(t.Context()); !errors.Is(err, errDown) && err != nil {
				t.Fatal(err)
			}
		}
		s.flush(t)
		left, err := s.Available(t.Context(), []order.SKU{"A"})
		if err != nil || left["A"] != 100 {
			t.Errorf("%d units of A can be bought (%v): the order behind %d others was not reconciled", left["A"], err, poisoned)
		}
	})
}

// TestPaymentReconciler_SkippedOrdersComeNext: those that were scanned while the payment service was unavailable do not wait for the end of the scan.
func TestPaymentReconciler_SkippedOrdersComeNext(t *testing.T) {
	const page, pages = 100, 4
	s := openShop(t, openSQLite(t))
	var changes []order.Event
	for i := range page * pages {
		changes = append(changes, order.Event{Order: freshOrder(), To: order.Pending, At: at.Add(time.Duration(i) * time.Millisecond)})
	}
	if _, err := s.orders.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	money := newFakeCountingPayments()
	r := s.reconciler(money)
	money.down = true
	mustFail(t, r.RunOnce, order.ErrUnavailable)
	money.down = false
	for range 2 {
		if _, err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range changes {
		want := order.Pending
		if i < 2*page {
			want = order.Cancelled
		}
		wantState(t, store.NewOrders(s.db), e.Order.ID, want)
	}
}

// TestPaymentReconciler_ChargeOfACancelledOrderIsRefunded: it was in flight when the order was cancelled, and its request died; or the ledger was
// unavailable, so that only the provider has it.
func TestPaymentReconciler_ChargeOfACancelledOrderIsRefunded(t *testing.T) {
	for name, booked := range map[string]bool{"booked": true, "not booked": false} {
		t.Run(name, func(t *testing.T) {
			s := openShop(t, openSQLite(t))
			o, unpaid := freshOrder(), freshOrder()
			for _, o := range []order.Order{o, unpaid} {
				s.reserve(t, o)
				s.release(t, o)
			}
			drained(t, s.flusher(s.sql, withOrders).RunOnce)
			ledger := store.NewCharges(s.db)
			t.Cleanup(ledger.Close)
			if booked {
				charge := order.Charge{OrderID: o.ID, ChargeID: "ch", State: order.ChargeSucceeded, Amount: order.Money{Currency: o.Currency, Amount: o.Total}}
				if _, err := ledger.Record(t.Context(), charge); err != nil {
					t.Fatal(err)
				}
			}
			money, cancellations := newFakePayments(&fakeCrash{}, o), store.NewCancellations(s.db)
			r := s.reconciler(money)
			mustRun(t, r.RunOnce, 0)
			r.SetClock(func() time.Time { return time.Now().Add(time.Minute) }) // What is younger may still be on its way back.
			mustRun(t, r.RunOnce, 2)
			if money.charges[unpaid.ID].State != order.ChargeVoided {
				t.Error("nothing refuses a late charge of the order that was not paid")
			}
			mustRun(t, workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet).RunOnce, 1)
			if money.refunds[o.ID] != 1 || money.refunds[unpaid.ID] != 0 {
				t.Errorf("the money went back %d times, and %d times where none was taken", money.refunds[o.ID], money.refunds[unpaid.ID])
			}
			s.wantStock(t, 100, 100)
		})
	}
}

// TestLostOrders_AreFoundAfterTheDelay.
func TestLostOrders_AreFoundAfterTheDelay(t *testing.T) {
	s := openShop(t, openSQLite(t))
	came, lost, hot := freshOrder(), freshOrder(), freshOrder()
	for _, o := range []order.Order{came, lost, hot} {
		s.reserve(t, o)
		s.settle(t, o)
	}
	s.flush(t)
	orders := store.NewOrders(s.db)
	if _, err := orders.Apply(t.Context(), []order.Event{{Order: came, To: order.Paid, At: at}}); err != nil {
		t.Fatal(err)
	}
	s.forget(t, lost.ID)
	s.nextEpoch(t)
	ledger := store.NewCharges(s.db)
	t.Cleanup(ledger.Close)
	unrelayed := stubEpochList{1, 2}
	worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &unrelayed, store.NewCancellations(s.db), quiet)
	mustRun(t, worker.RunOnce, 0) // Its time has not come.
	worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
	mustRun(t, worker.RunOnce, 0) // The relay is not done with its journal.
	unrelayed = stubEpochList{2}
	mustRun(t, worker.RunOnce, 1) // One that Redis still has does not hold up the others.
	mustRun(t, worker.RunOnce, 0)
	if _, err := orders.Apply(t.Context(), []order.Event{{Order: hot, To: order.Paid, At: at}}); err != nil {
		t.Fatal(err)
	}
	mustRun(t, worker.RunOnce, 0)
	if open, err := s.sql.Unreconciled(t.Context(), 0, time.Now().Add(time.Hour)); err != nil || len(open) != 0 {
		t.Errorf("the epochs %v are not reconciled (%v)", open, err)
	}
	due, err := store.NewCancellations(s.db).Due(t.Context(), time.Now().Add(time.Hour), 10)
	if err != nil || len(due) != 1 || due[0].OrderID != lost.ID {
		t.Errorf("due: %+v (%v)", due, err)
	}
	wantState(t, orders, came.ID, order.Paid)
}

type stubEpochList []int64

func (j *stubEpochList) Epochs(context.Context) ([]int64, error) { return *j, nil }

var _ workers.Restocker = (*stock.Stock)(nil)
