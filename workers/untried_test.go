package workers_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping/simulated"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// errBreakerOpen is the error of a call that an open breaker refused.
var errBreakerOpen = errors.Join(order.ErrNotSent, order.ErrUnavailable)

// TestShipper_BreakerOfTheCarrierIsOpen: an order that was not offered keeps its state, may be cancelled, and is left to the rescuer. An order that was
// offered once becomes SHIP_FAILED.
func TestShipper_BreakerOfTheCarrierIsOpen(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 3)
		in, offered := newFakeRedeliveringConsumer(settledOf(t, all...)), false
		c := fakeCarrierFunc(func(_ context.Context, o order.Order) error {
			if o.ID == all[0].ID && !offered {
				offered = true
				return order.ErrRejected
			}
			return errBreakerOpen
		})
		ranTo(t, workers.NewShipper(quickly(3), in, orders, stubNoDeadLetters{t}, c, noLog).RunOnce, 0)
		inState(t, orders, order.ShipFailed, all[0])
		inState(t, orders, order.Paid, all[1:]...)
		if len(in.messages) != 0 || !mayBeCancelled(t, orders, all[1].ID) {
			t.Errorf("%d messages are left; want none, and no claim", len(in.messages))
		}
		ranTo(t, eager(orders, newFakeTimeoutCarrier(simulated.OK)).RunOnce, 3)
		inState(t, orders, order.Shipped, all...)
	})
}

// TestShipRescuer_BreakerOfTheCarrierIsOpen: an order that was not offered is due again at once, and not after a backoff.
func TestShipRescuer_BreakerOfTheCarrierIsOpen(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		o := paidOrders(t, orders, 1)[0]
		down := fakeCarrierFunc(func(context.Context, order.Order) error { return order.ErrRejected })
		ranTo(t, eager(orders, down).RunOnce, 0)
		before, err := orders.Get(t.Context(), o.ID)
		if err != nil || before.State != order.ShipFailed {
			t.Fatal(before.State, err)
		}
		open := fakeCarrierFunc(func(context.Context, order.Order) error { return errBreakerOpen })
		ranTo(t, eager(orders, open).RunOnce, 0)
		if after, err := orders.Get(t.Context(), o.ID); err != nil || !after.UpdatedAt.Equal(before.UpdatedAt) || !mayBeCancelled(t, orders, o.ID) {
			t.Errorf("the order changed at %s, %v; want no change after %s", after.UpdatedAt, err, before.UpdatedAt)
		}
	})
}

// TestShipper_Stopped: an order that did not get its attempts keeps its state, and its message. The claim stays if the carrier may have the parcel.
func TestShipper_Stopped(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		claimed bool
	}{"rejected": {order.ErrRejected, false}, "unknown": {order.ErrUnknownOutcome, true}, "breaker open": {errBreakerOpen, false}} {
		t.Run(name, func(t *testing.T) {
			orders := store.NewOrders(shopDB(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db")))
			o := paidOrders(t, orders, 1)[0]
			in := newFakeRedeliveringConsumer(settledOf(t, o))
			ctx, stop := context.WithCancel(t.Context())
			carrier := fakeCarrierFunc(func(context.Context, order.Order) error { stop(); return c.err })
			if n, err := workers.NewShipper(quickly(3), in, orders, stubNoDeadLetters{t}, carrier, noLog).RunOnce(ctx); n != 0 || err != nil {
				t.Errorf("the iteration returned %d, %v", n, err)
			}
			inState(t, orders, order.Paid, o)
			if len(in.messages) != 1 {
				t.Errorf("%d messages are left; want the one with the order", len(in.messages))
			}
			if mayBeCancelled(t, orders, o.ID) == c.claimed {
				t.Errorf("it is claimed: %v; want %v", !c.claimed, c.claimed)
			}
		})
	}
}

// fakeUntriedPayments is a payment service that cannot be called.
type fakeUntriedPayments struct {
	*fakePayments
	err error
}

func (f *fakeUntriedPayments) Void(ctx context.Context, id order.ID) error {
	if f.err != nil {
		return f.err
	}
	return f.fakePayments.Void(ctx, id)
}

// TestCancellationFinisher_PaymentServiceIsNotCalled: while its breaker is open, no attempts are counted and the cancellation is due every few seconds.
func TestCancellationFinisher_PaymentServiceIsNotCalled(t *testing.T) {
	s := openShop(t, openSQLite(t))
	cancellations, money := store.NewCancellations(s.db), &fakeUntriedPayments{newFakePayments(&fakeCrash{}), errBreakerOpen}
	o := freshOrder()
	if err := cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: o.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test"}}); err != nil {
		t.Fatal(err)
	}
	finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
	now := time.Now()
	finisher.SetClock(func() time.Time { return now })
	for range 100 {
		if _, err := finisher.RunOnce(t.Context()); !errors.Is(err, order.ErrNotSent) {
			t.Fatalf("the iteration returned %v", err)
		}
		now = now.Add(6 * time.Second)
	}
	due, err := cancellations.Due(t.Context(), now, 10)
	if err != nil || len(due) != 1 || due[0].Attempts != 0 {
		t.Errorf("due is %+v, %v; want the cancellation without an attempt", due, err)
	}
	money.err = nil
	mustRun(t, finisher.RunOnce, 1)
	if due, err := cancellations.Due(t.Context(), now.Add(time.Hour), 10); err != nil || len(due) != 0 {
		t.Errorf("due is %+v, %v", due, err)
	}
}

// TestCancellationFinisher_UnitsReturnWithoutThePaymentService: they can be sold again, although the refund has to wait.
func TestCancellationFinisher_UnitsReturnWithoutThePaymentService(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	f := s.flusher(s.sql, withOrders)
	drained(t, f.RunOnce)
	cancellations, money := store.NewCancellations(s.db), &fakeUntriedPayments{newFakePayments(&fakeCrash{}, o), errBreakerOpen}
	if _, err := cancellations.Cancel(t.Context(), o.ID, []order.State{order.Paid}, order.CancelReason{Text: "changed my mind"}, "c1"); err != nil {
		t.Fatal(err)
	}
	finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
	now := time.Now()
	finisher.SetClock(func() time.Time { return now })
	for range 3 {
		mustFail(t, finisher.RunOnce, order.ErrNotSent)
		drained(t, f.RunOnce)
		now = now.Add(6 * time.Second)
	}
	s.wantStock(t, 100, 100)
	money.err = nil
	mustRun(t, finisher.RunOnce, 1)
	if due, err := cancellations.Due(t.Context(), now.Add(time.Hour), 10); err != nil || len(due) != 0 || money.refunds[o.ID] != 1 {
		t.Errorf("due is %+v (%v); the money went back %d times", due, err, money.refunds[o.ID])
	}
	s.wantStock(t, 100, 100)
}

// TestCancellationFinisher_Stopped: the cancellation stays due.
func TestCancellationFinisher_Stopped(t *testing.T) {
	s := openShop(t, openSQLite(t))
	cancellations := store.NewCancellations(s.db)
	o := freshOrder()
	if err := cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: o.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test"}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	money := &fakeStoppingPayments{newFakePayments(&fakeCrash{}), stop}
	if _, err := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet).RunOnce(ctx); !errors.Is(err, errDown) {
		t.Errorf("the iteration returned %v", err)
	}
	if due, err := cancellations.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 1 || due[0].Attempts != 0 {
		t.Errorf("due is %+v, %v; want the cancellation without an attempt", due, err)
	}
}

// fakeStoppingPayments stops the worker during a call, which then fails.
type fakeStoppingPayments struct {
	*fakePayments
	stop context.CancelFunc
}

func (f *fakeStoppingPayments) Void(context.Context, order.ID) error {
	f.stop()
	return errDown
}

// fakeRefunderFunc is a RefundExecutor that is a function.
type fakeRefunderFunc func() error

func (f fakeRefunderFunc) ExecuteRefund(context.Context, string) error { return f() }

// TestRefundRetrier_ProviderIsNotCalled: a refund that an open breaker refused stays due.
func TestRefundRetrier_ProviderIsNotCalled(t *testing.T) {
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
		now := time.Now().Add(time.Minute)
		r := workers.NewRefundRetrier(ledger, fakeRefunderFunc(func() error { return errBreakerOpen }), quiet)
		r.SetClock(func() time.Time { return now })
		for range 10 {
			mustFail(t, r.RunOnce, order.ErrNotSent)
		}
		if due, err := ledger.DueRefunds(t.Context(), now, 10); err != nil || len(due) != 1 || due[0].Attempts != 0 {
			t.Errorf("due is %+v, %v; want the refund without an attempt", due, err)
		}
	})
}
