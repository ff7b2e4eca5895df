package workers_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

var errCrash = errors.New("crash")

// fakeCrash ends the nth call that passes it, before or after its effect, and lets all others through.
type fakeCrash struct {
	mu    sync.Mutex
	nth   int
	after bool
	calls int
}

func (c *fakeCrash) around(effect func() error) error {
	c.mu.Lock()
	c.calls++
	now := c.calls == c.nth
	c.mu.Unlock()
	if now && !c.after {
		return errCrash
	}
	if err := effect(); err != nil || !now {
		return err
	}
	return errCrash
}

// fakePayments is a payment service.
type fakePayments struct {
	*fakeCrash
	mu      sync.Mutex
	charges map[order.ID]order.Charge
	refunds map[order.ID]int // times that money went back
	// unconfirmed: the provider does not confirm refunds.
	unconfirmed bool
}

func newFakePayments(c *fakeCrash, paid ...order.Order) *fakePayments {
	k := &fakePayments{fakeCrash: c, charges: map[order.ID]order.Charge{}, refunds: map[order.ID]int{}}
	for _, o := range paid {
		k.set(o, order.ChargeSucceeded)
	}
	return k
}

func (k *fakePayments) set(o order.Order, state order.ChargeState) {
	k.charges[o.ID] = order.Charge{ChargeID: "ch", State: state, Amount: order.Money{Currency: o.Currency, Amount: o.Total}}
}

func (k *fakePayments) Find(_ context.Context, id order.ID) (found order.Charge, err error) {
	err = k.around(func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		found = k.charges[id]
		return nil
	})
	return found, err
}

func (k *fakePayments) Void(_ context.Context, id order.ID) error {
	return k.around(func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		switch k.charges[id].State {
		case order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded:
			return order.ErrFailedPrecondition
		case order.ChargeNone, order.ChargePending, order.ChargeDeclined:
			k.charges[id] = order.Charge{ChargeID: "ch", State: order.ChargeVoided}
		case order.ChargeVoided:
		}
		return nil
	})
}

func (k *fakePayments) VoidUncharged(ctx context.Context, id order.ID) (bool, error) {
	k.mu.Lock()
	pending := k.charges[id].State == order.ChargePending
	k.mu.Unlock()
	if pending {
		return false, nil
	}
	err := k.Void(ctx, id)
	return err == nil, err
}

func (k *fakePayments) Refund(_ context.Context, id order.ID, _ string) error {
	return k.around(func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		ch := k.charges[id]
		switch ch.State {
		case order.ChargeSucceeded:
			k.refunds[id]++
			if ch.State = order.ChargeRefunded; k.unconfirmed {
				ch.State = order.ChargeRefunding
			}
			k.charges[id] = ch
		case order.ChargeRefunding, order.ChargeRefunded:
		case order.ChargeNone, order.ChargePending, order.ChargeDeclined, order.ChargeVoided:
			return order.ErrFailedPrecondition
		}
		return nil
	})
}

// fakeCrashingStore is the store and the stock; one of their calls crashes.
type fakeCrashingStore struct {
	*fakeCrash
	*store.Cancellations
	stock *stock.Stock
}

func (f fakeCrashingStore) EnsureCancelled(ctx context.Context, x store.Cancellation) (ok bool, err error) {
	err = f.around(func() (err error) { ok, err = f.Cancellations.EnsureCancelled(ctx, x); return err })
	return ok, err
}

func (f fakeCrashingStore) Refunded(ctx context.Context, id order.ID, amount order.Money) error {
	return f.around(func() error { return f.Cancellations.Refunded(ctx, id, amount) })
}

func (f fakeCrashingStore) Defer(ctx context.Context, id order.ID, _ time.Time, failed bool) error {
	return f.around(func() error { return f.Cancellations.Defer(ctx, id, time.Now().Add(-time.Second), failed) })
}

func (f fakeCrashingStore) Finish(ctx context.Context, id order.ID) (ok bool, err error) {
	err = f.around(func() (err error) { ok, err = f.Cancellations.Finish(ctx, id); return err })
	return ok, err
}

func (f fakeCrashingStore) OpenEpoch() (int64, error) { return f.stock.OpenEpoch() }

func (f fakeCrashingStore) Restock(
	ctx context.Context,
	epoch int64,
	id order.ID,
	customer order.CustomerID,
	units []order.Delta,
	reason string,
) (at journal.Offset, err error) {
	err = f.around(func() (err error) { at, err = f.stock.Restock(ctx, epoch, id, customer, units, reason); return err })
	return at, err
}

// TestCancellationFinisher_CrashAtAnyStep: the charge is refunded and the units are returned once, before or after whichever effect it crashes.
func TestCancellationFinisher_CrashAtAnyStep(t *testing.T) {
	whole := &fakeCrash{}
	cancelWith(t, whole)
	if whole.calls < 7 {
		t.Fatalf("a cancellation takes only %d calls", whole.calls)
	}
	for nth := 1; nth <= whole.calls; nth++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, after %v", nth, after), func(t *testing.T) {
				t.Parallel() // Each mostly waits for its journal.
				cancelWith(t, &fakeCrash{nth: nth, after: after})
			})
		}
	}
}

func cancelWith(t *testing.T, c *fakeCrash) {
	t.Helper()
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	f := s.flusher(s.sql, withOrders)
	drained(t, f.RunOnce)
	cancellations := store.NewCancellations(s.db)
	if _, err := cancellations.Cancel(t.Context(), o.ID, []order.State{order.Paid}, order.CancelReason{Text: "changed my mind"}, "c1"); err != nil {
		t.Fatal(err)
	}
	money := newFakePayments(c, o)
	parts := fakeCrashingStore{c, cancellations, s.Stock}
	finished := func() bool {
		due, err := cancellations.Due(t.Context(), time.Now().Add(time.Hour), 10)
		return err == nil && len(due) == 0
	}
	for range 6 {
		// A new finisher each time, as after a crash of its process.
		_, _ = workers.NewCancellationFinisher(parts, money, parts, quiet).RunOnce(t.Context())
		drained(t, f.RunOnce)
		if err := store.NewCancellations(s.db).Defer(t.Context(), o.ID, time.Now().Add(-time.Second), false); err != nil {
			t.Fatal(err)
		}
	}
	if !finished() || money.refunds[o.ID] != 1 {
		t.Errorf("finished: %v; the money went back %d times", finished(), money.refunds[o.ID])
	}
	s.wantStock(t, 100, 100)
	left, err := s.Available(t.Context(), []order.SKU{"A", "B"})
	if err != nil || left["A"] != 100 || left["B"] != 100 {
		t.Errorf("Redis has %v (%v)", left, err)
	}
}

func TestLostOrders_WithoutACharge(t *testing.T) {
	s := openShop(t, openSQLite(t))
	cancellations, money := store.NewCancellations(s.db), newFakePayments(&fakeCrash{})
	o := freshOrder()
	if err := cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: o.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test"}}); err != nil {
		t.Fatal(err)
	}
	finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
	mustRun(t, finisher.RunOnce, 1)
	due, err := cancellations.Due(t.Context(), time.Now().Add(time.Hour), 10)
	if err != nil || len(due) != 0 || money.charges[o.ID].State != order.ChargeVoided {
		t.Errorf("due %v (%v); the charge is %+v", due, err, money.charges[o.ID])
	}
	s.wantStock(t, 100, 100)
}

// TestCancellationFinisher_WaitsForTheProvider: while the provider does not confirm the refund, the units are returned and the cancellation stays open.
func TestCancellationFinisher_WaitsForTheProvider(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	f := s.flusher(s.sql, withOrders)
	drained(t, f.RunOnce)
	cancellations, money := store.NewCancellations(s.db), newFakePayments(&fakeCrash{}, o)
	money.unconfirmed = true
	if _, err := cancellations.Cancel(t.Context(), o.ID, []order.State{order.Paid}, order.CancelReason{Text: "changed my mind"}, "c1"); err != nil {
		t.Fatal(err)
	}
	finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
	now := time.Now()
	finisher.SetClock(func() time.Time { return now })
	for range 4 {
		mustRun(t, finisher.RunOnce, 1)
		drained(t, f.RunOnce)
		now = now.Add(time.Hour)
	}
	s.wantStock(t, 100, 100)
	due, err := cancellations.Due(t.Context(), now.Add(time.Hour), 10)
	if err != nil || len(due) != 1 || due[0].Refunded || !due[0].Restocked || due[0].Attempts != 4 {
		t.Fatalf("due is %+v (%v), want the cancellation, restocked and not refunded", due, err)
	}
	money.set(o, order.ChargeRefunded)
	mustRun(t, finisher.RunOnce, 1)
	if due, err := cancellations.Due(t.Context(), now.Add(time.Hour), 10); err != nil || len(due) != 0 || money.refunds[o.ID] != 1 {
		t.Errorf("due is %+v (%v); the money went back %d times", due, err, money.refunds[o.ID])
	}
}
