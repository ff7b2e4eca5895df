package workers_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/gateway"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// asked is a cashier that counts how often it was asked for a charge, and cannot say of some.
type asked struct {
	*cashier
	times  map[order.ID]int
	poison map[order.ID]bool
}

func newAsked() *asked {
	return &asked{cashier: newCashier(&crash{}), times: map[order.ID]int{}, poison: map[order.ID]bool{}}
}

func (a *asked) Find(ctx context.Context, id order.ID) (gateway.FoundCharge, error) {
	a.mu.Lock()
	a.times[id]++
	a.mu.Unlock()
	if a.poison[id] {
		return gateway.FoundCharge{}, errDown
	}
	return a.cashier.Find(ctx, id)
}

// TestEveryVoidedChargeIsAskedForAgain, however many there are: a provider may take the money late, when whoever had asked for it is
// gone. One whose answer fails costs the others nothing.
func TestEveryVoidedChargeIsAskedForAgain(t *testing.T) {
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
		money := newAsked()
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
		for i, age := range workers.Rechecks {
			now = time.Now().Add(age + time.Second)
			for range 5 {
				look()
			}
			wants(fmt.Sprintf("after %s", age), i+1, i+1)
		}
	})
}
