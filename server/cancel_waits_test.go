package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

// cancelMany cancels one paid order without a row in each context, at once, and returns the errors of the calls that did not wait.
func cancelMany(t *testing.T, c *Canceller, callers []context.Context) (refused []error) {
	t.Helper()
	var mu sync.Mutex
	var calls sync.WaitGroup
	began := time.Now()
	for _, ctx := range callers {
		calls.Go(func() {
			_, err := c.Cancel(ctx, order.Order{ID: newID(), State: order.Paid}, order.CancelReason{}, "ann")
			if time.Since(began) > 0 { // In fake time, a call that did not wait took none.
				return
			}
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, err)
		})
	}
	synctest.Wait()
	return refused
}

// times returns the context of a call n times.
func times(ctx context.Context, n int) []context.Context {
	return slices.Repeat([]context.Context{ctx}, n)
}

// TestCancel_OneCallerLeavesWaitsToOthers: while the drain is behind, each cancellation of a paid order waits for its row. One customer, and one
// address with many customers, can hold a part of these waits only.
func TestCancel_OneCallerLeavesWaitsToOthers(t *testing.T) {
	const attacker, other = "198.51.100.1", "198.51.100.2"
	synctest.Test(t, func(t *testing.T) {
		rows := &stubLateRows{}
		c := &Canceller{Store: rows, Changes: rows, Log: discardLog, Now: time.Now}
		var limit *order.LimitError
		refused := cancelMany(t, c, times(from(as(t.Context(), "mallory"), attacker), maxCancelWaits))
		if n := len(refused); n != maxCancelWaits-maxCustomerCancelWaits {
			t.Errorf("%d of %d cancellations of one customer did not wait; want all but %d", n, maxCancelWaits, maxCustomerCancelWaits)
		}
		for _, err := range refused {
			if !errors.As(err, &limit) || limit.Limit != order.LimitCustomerCancels || limit.After <= 0 {
				t.Fatalf("one cancellation too many of a customer: %v", err)
			}
		}
		sessions := make([]context.Context, maxCancelWaits)
		for i := range sessions {
			session := from(as(t.Context(), order.CustomerID(fmt.Sprint("session ", i))), attacker)
			sessions[i] = session //nolint:fatcontext // A context each, and none inside another.
		}
		refused = cancelMany(t, c, sessions)
		if n := len(refused); n != maxCancelWaits-maxAddressCancelWaits+maxCustomerCancelWaits {
			t.Errorf("%d of %d cancellations of one address did not wait; want all but %d", n, maxCancelWaits, maxAddressCancelWaits)
		}
		for _, err := range refused {
			if !errors.As(err, &limit) || limit.Limit != order.LimitAddressCancels {
				t.Fatalf("one cancellation too many of an address: %v", err)
			}
		}
		if refused := cancelMany(t, c, times(from(as(t.Context(), "ann"), other), maxCustomerCancelWaits)); len(refused) > 0 {
			t.Errorf("cancellations of another customer did not wait: %v", refused)
		}
		operator := auth.With(t.Context(), auth.Caller{Customer: "op", Roles: []auth.Role{auth.Operator}})
		if refused := cancelMany(t, c, times(from(operator, attacker), maxAddressCancelWaits)); len(refused) > 0 {
			t.Errorf("cancellations of an operator did not wait: %v", refused)
		}
		<-time.After(2 * rowTimeout) // All end.
		synctest.Wait()
		if w := &c.waits; w.all != 0 || len(w.customers) != 0 || len(w.addresses) != 0 {
			t.Errorf("%d calls, %d customers and %d addresses are left", w.all, len(w.customers), len(w.addresses))
		}
	})
}
