package server

import (
	"errors"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// TestPlaceOrder_SQLIsStalled: with durability sql and a SQL that applies nothing, the first order is known not to be durable within seconds. The next ones are
// refused at once, before anything is reserved or charged; only retries get their order.
func TestPlaceOrder_SQLIsStalled(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.sqlDurable()
		first := func(most time.Duration) {
			t.Helper()
			began := time.Now()
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", ""))
			wantNotDurableYet(t, "the first order", err)
			if took := time.Since(began); took > most {
				t.Errorf("the first order's response took %s", took)
			}
		}
		// A checkout waits for finishTimeout at most, and a first one for SQL for five seconds.
		const known, atOnce = finishTimeout - time.Second, 4 * time.Second
		first(known)
		began := time.Now()
		for _, card := range []string{"", goodCard} {
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c2"), placeRequest("k2"+card, card))
			var refusal *order.RefusalError
			var retry *order.RetryError
			if !errors.Is(err, order.ErrUnavailable) || errors.As(err, &refusal) || !errors.As(err, &retry) {
				t.Errorf("the next order: %v; want unavailable with a retry hint", err)
			}
		}
		if took := time.Since(began); took > atOnce {
			t.Errorf("two orders were refused within %s", took)
		}
		if left := s.left(t); left != 99 {
			t.Errorf("%d units are left; want 99", left)
		}
		first(atOnce)
		s.flush(t)
		if o := s.place(t, "k1", ""); o.GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
			t.Errorf("then the first order is %s", o.GetState())
		}
		s.runFlusher(t, s.progress)
		s.place(t, "k2", "")
	})
}
