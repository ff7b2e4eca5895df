package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// TestPlaceOrder_RetriesOfSlowCardsLeaveThePlacesOfCheckouts has one place for checkouts, a charge that hangs, and a retry that waits for the same
// charge. Orders without a card are placed.
func TestPlaceOrder_RetriesOfSlowCardsLeaveThePlacesOfCheckouts(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s.provider.During = func() { close(entered); <-leave }
		s.payment.Provider = OutsideLimits(s.provider)
		s.checkout.Paying = NewChargeSlots(8)
		admission := newTestAdmission(1)
		e := startServer(t, Services{Checkout: s.checkout}, func(c *Config) { c.Admission = admission })
		done := make(chan string, 2)
		slow, later := jsonOf(t, placeRequest("slow", goodCard)), jsonOf(t, placeRequest("later", ""))
		place := func() {
			_, _, body := e.post(t, placeProcedure, e.token(t, "c1"), slow)
			done <- body
		}
		go place()
		await(t, "the charge", entered)
		go place()
		eventually(t, "the retry waits for the charge", func() bool {
			s.checkout.Paying.mu.Lock()
			defer s.checkout.Paying.mu.Unlock()
			return s.checkout.Paying.customers["c1"] == 2 && admission.limiters[ClassCheckout].InFlight() == 0
		})
		if status, _, body := e.post(t, placeProcedure, e.token(t, "c2"), later); status != http.StatusOK {
			t.Errorf("beside a retry of a slow card: %d %s", status, body)
		}
		close(leave)
		for range 2 {
			if body := await(t, "the slow order", done); !strings.Contains(body, spillwayv1.OrderState_ORDER_STATE_PAID.String()) {
				t.Errorf("the order with the slow card: %s", body)
			}
		}
	})
}

// stubLateRows has no row of any order.
type stubLateRows struct {
	mu    sync.Mutex
	polls int
}

func (s *stubLateRows) Cancel(context.Context, order.ID, []order.State, order.CancelReason, string) (order.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls++
	return 0, fmt.Errorf("no row: %w", order.ErrNotFound)
}

// Publish implements Canceller.Changes.
func (*stubLateRows) Publish(context.Context, []journal.Change) error { return nil }

// TestCancel_WaitsTakeNoPlace cancels paid orders with rows that are not written yet, each by several calls. None of them takes a place of the
// checkouts while it waits, and the calls beyond maxCancelWaits do not wait.
func TestCancel_WaitsTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rows := &stubLateRows{}
		c := &Canceller{Store: rows, Changes: rows, Log: discardLog, Now: time.Now}
		p := newTestAdmission(1024).byProcedure[spillwayv1connect.OrderServiceCancelOrderProcedure]
		var calls sync.WaitGroup
		began := time.Now()
		took := make(chan time.Duration, 2*maxCancelWaits)
		for i := range 2 * maxCancelWaits {
			if i%8 == 0 {
				synctest.Wait() // The first call of each order waits before the others, and each has left its place before the next ones come.
			}
			calls.Go(func() {
				if !p.acquire(true) {
					t.Error("a call is refused")
					return
				}
				call := &admittedCall{limit: p, since: p.now()}
				defer call.end(false)
				ctx := context.WithValue(as(t.Context(), order.CustomerID(fmt.Sprint("customer ", i))), admittedKey{}, call)
				id := order.ID(fmt.Sprintf("order %d", i%8))
				if _, err := c.Cancel(ctx, order.Order{ID: id, State: order.Paid}, order.CancelReason{}, "ann"); !errors.Is(err, order.ErrUnavailable) {
					t.Errorf("cancel an order without a row: %v", err)
				}
				took <- time.Since(began)
			})
		}
		synctest.Wait()
		if n := p.InFlight(); n > 0 {
			t.Errorf("%d calls that wait take a place; want 0", n)
		}
		if n := len(took); n != maxCancelWaits {
			t.Errorf("%d calls have ended at once; want %d", n, maxCancelWaits)
		}
		calls.Wait()
		if most := 8 * (int(rowTimeout/rowPoll) + 1); rows.polls > most {
			t.Errorf("SQL was polled %d times; want at most %d", rows.polls, most)
		}
		if n := p.InFlight(); n != 0 {
			t.Errorf("%d calls are in progress at the end", n)
		}
	})
}
