package workers_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// fakeCountingPayments is a fakePayments that counts the queries of each charge, and fails those of poison, or while it is down all of them.
type fakeCountingPayments struct {
	*fakePayments
	times  map[order.ID]int
	poison map[order.ID]bool
	down   bool
}

func newFakeCountingPayments() *fakeCountingPayments {
	return &fakeCountingPayments{fakePayments: newFakePayments(&fakeCrash{}), times: map[order.ID]int{}, poison: map[order.ID]bool{}}
}

func (a *fakeCountingPayments) Find(ctx context.Context, id order.ID) (order.Charge, error) {
	a.mu.Lock()
	a.times[id]++
	a.mu.Unlock()
	switch {
	case a.poison[id]:
		return order.Charge{}, errDown
	case a.down:
		return order.Charge{}, order.ErrUnavailable
	}
	return a.fakePayments.Find(ctx, id)
}

// TestPaymentReconciler_EveryVoidedChargeIsRechecked, however many there are: a provider may execute a charge long after its request timed
// out. A recheck that fails does not affect the others.
func TestPaymentReconciler_EveryVoidedChargeIsRechecked(t *testing.T) {
	const voids = 250 // more than one look takes
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		var ids []order.ID
		for range voids {
			ids = append(ids, order.NewID(0, time.Now()))
			if _, err := ledger.Void(t.Context(), ids[len(ids)-1], string(order.NewID(0, time.Now())), "XXX"); err != nil {
				t.Fatal(err)
			}
		}
		money := newFakeCountingPayments()
		money.poison[ids[0]] = true
		r := s.reconciler(money)
		now := time.Now()
		r.SetClock(func() time.Time { return now })
		wants := func(when string, least, most int) {
			t.Helper()
			for i, id := range ids {
				if n := money.times[id]; n < least || n > most {
					t.Fatalf("%s charge %d was asked for %d times, want %d to %d", when, i, n, least, most)
				}
			}
		}
		look := func() {
			t.Helper()
			if _, err := r.RunOnce(t.Context()); err != nil && !errors.Is(err, errDown) {
				t.Fatal(err)
			}
		}
		look()
		wants("at once", 0, 0)
		for i, age := range []time.Duration{time.Minute, 15 * time.Minute, 2 * time.Hour, 24 * time.Hour} {
			now = time.Now().Add(age + time.Second)
			for range 5 {
				look()
			}
			wants(fmt.Sprintf("after %s", age), i+1, i+1)
		}
		now = time.Now().Add(1000 * time.Hour)
		look()
		wants("in the end", 4, 5) // Of the one that failed, once more.
	})
}

// TestPaymentReconciler_FailedRecheckIsRetried: one that fails among others is due again a minute later, and continues with its later ages.
func TestPaymentReconciler_FailedRecheckIsRetried(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		ids := []order.ID{order.NewID(0, time.Now()), order.NewID(0, time.Now())}
		for _, id := range ids {
			if _, err := ledger.Void(t.Context(), id, string(id), "XXX"); err != nil {
				t.Fatal(err)
			}
		}
		money := newFakeCountingPayments()
		money.poison[ids[0]] = true
		r := s.reconciler(money)
		for _, step := range []struct {
			age           time.Duration
			failing, fine int
		}{{time.Minute, 1, 1}, {90 * time.Second, 1, 1}, {3 * time.Minute, 2, 1}, {16 * time.Minute, 3, 2}} {
			now := time.Now().Add(step.age + time.Second)
			r.SetClock(func() time.Time { return now })
			if _, err := r.RunOnce(t.Context()); err != nil && !errors.Is(err, errDown) {
				t.Fatal(err)
			}
			if money.times[ids[0]] != step.failing || money.times[ids[1]] != step.fine {
				t.Errorf("after %s the charges were asked for %d and %d times, want %d and %d", step.age, money.times[ids[0]], money.times[ids[1]], step.failing, step.fine)
			}
		}
	})
}

// TestCharges_RecheckedFromTheTimeOfVoiding: a charge that was pending for a day before it was voided is rechecked a minute after that, and
// one that a request met later, a minute after the request.
func TestCharges_RecheckedFromTheTimeOfVoiding(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, ledger := store.NewOrders(db), store.NewCharges(db)
		t.Cleanup(ledger.Close)
		id := order.NewID(0, time.Now())
		if _, err := ledger.Record(t.Context(), order.Charge{OrderID: id, ChargeID: string(id), State: order.ChargePending, Amount: order.Money{Currency: "EUR", Amount: 5}}); err != nil {
			t.Fatal(err)
		}
		due := func(in time.Duration) int {
			t.Helper()
			found, err := orders.DueRechecks(t.Context(), time.Now().Add(in), 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		if n := due(24 * time.Hour); n != 0 {
			t.Errorf("%d rechecks of a pending charge", n)
		}
		if _, err := ledger.Void(t.Context(), id, string(id), "XXX"); err != nil {
			t.Fatal(err)
		}
		if due(30*time.Second) != 0 || due(61*time.Second) != 1 {
			t.Errorf("%d rechecks are due after 30 s and %d after 61 s, want 0 and 1", due(30*time.Second), due(61*time.Second))
		}
		later := time.Now().Add(25 * time.Hour)
		found, err := orders.DueRechecks(t.Context(), later, 10)
		if err == nil {
			err = orders.Rechecked(t.Context(), found, later)
		}
		if err != nil || due(1000*time.Hour) != 0 {
			t.Errorf("after the last recheck %d are due (%v)", due(1000*time.Hour), err)
		}
		if err := ledger.RestartRechecks(t.Context(), id); err != nil || due(30*time.Second) != 0 || due(61*time.Second) != 1 {
			t.Errorf("after another request, %d rechecks are due after 30 s and %d after 61 s (%v), want 0 and 1", due(30*time.Second), due(61*time.Second), err)
		}
	})
}
