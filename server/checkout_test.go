package server

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// TestCheckout_CancelledWhileCharged: the charge succeeds after the order was released. The money goes back and the stock stays.
func TestCheckout_CancelledWhileCharged(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", "")
		s.provider.During = func() {
			if _, err := s.Release(t.Context(), order.ID(placed.GetId()), "by the customer", ""); err != nil {
				t.Errorf("release: %v", err)
			}
		}
		paid, err := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: placed.GetId(), Card: testCard(goodCard)})
		if err != nil || paid.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_CANCELLED {
			t.Fatalf("pay: %v, %v; want CANCELLED", paid, err)
		}
		wantState(t, s.payment, order.ID(placed.GetId()), spillwayv1.ChargeState_CHARGE_STATE_REFUNDED)
		wantRefunded(t, s.provider, order.ID(placed.GetId()))
		if n := s.left(t); n != 100 {
			t.Errorf("%d units are left, want 100", n)
		}
		s.flush(t)
		s.wantRow(t, placed.GetId(), order.Cancelled)
	})
}

func TestPayOrder_Expired(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", "")
		s.checkout.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		_, err := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: placed.GetId(), Card: testCard(goodCard)})
		if !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("pay an expired order: %v; want ErrFailedPrecondition", err)
		}
		if n := s.provider.Charges.Load(); n != 0 {
			t.Errorf("the provider was called %d times", n)
		}
	})
}

// TestCheckout_VoidedChargeReleases: the tombstone was faster than the card, so that the order is cancelled and its stock given back at once.
func TestCheckout_VoidedChargeReleases(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", "")
		if _, err := s.payment.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: placed.GetId()}); err != nil {
			t.Fatal(err)
		}
		_, err := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: placed.GetId(), Card: testCard(goodCard)})
		if !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("pay a voided order: %v; want ErrFailedPrecondition", err)
		}
		if n := s.left(t); n != 100 {
			t.Errorf("%d units are left, want 100", n)
		}
		s.flush(t)
		s.wantRow(t, placed.GetId(), order.Cancelled)
		wantRefunded(t, s.provider, order.ID(placed.GetId()))
	})
}

// TestCheckout_DurabilitySQL: the row is there when the order is answered.
func TestCheckout_DurabilitySQL(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.sqlDurable()
		s.runFlusher(t, s.progress)
		placed := s.place(t, "k1", goodCard)
		s.wantRow(t, placed.GetId(), order.Paid)
	})
}

// TestCheckout_DeclinedIsDurable: a client that was told of a declined order finds it CANCELLED, whatever Redis loses afterwards, and its key makes no
// other order (I4, I5).
func TestCheckout_DeclinedIsDurable(t *testing.T) {
	declined := func(t *testing.T, s *shopFixture) order.ID {
		t.Helper()
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard))
		var refusal *order.DeclinedError
		if !errors.As(err, &refusal) {
			t.Fatalf("got %v; want DeclinedError", err)
		}
		return refusal.OrderID
	}
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.sqlDurable()
		s.runFlusher(t, s.progress)
		id := declined(t, s)
		s.wantRow(t, string(id), order.Cancelled)
		if again := declined(t, s); again != id {
			t.Errorf("the retry got order %s, want %s", again, id)
		}
	})
	t.Run("not durable yet", func(t *testing.T) {
		s := openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))
		s.checkout.Durable = stubNeverDurable{}
		for _, call := range []string{"the first call", "its retry"} {
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard))
			wantNotDurableYet(t, call, err)
		}
		s.checkout.Durable = stubDurable{}
		declined(t, s)
	})
	t.Run("lost by Redis", func(t *testing.T) {
		s := openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))
		var once sync.Once
		s.provider.During = func() { once.Do(func() { s.wipe(t, "k1") }) }
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard))
		wantNotDurableYet(t, "the call", err)
		declined(t, s)
	})
}

// wipe removes all hot orders and the idempotency record.
func (s *shopFixture) wipe(t *testing.T, key string) {
	c := s.redis.Client()
	hot, err := c.Do(t.Context(), c.B().Keys().Pattern("*"+s.keys.Namespace+":*order:*").Build()).AsStrSlice()
	if err == nil {
		err = c.Do(t.Context(), c.B().Del().Key(hot...).Build()).Error()
	}
	if err != nil {
		t.Error(err)
	}
	s.forgetKey(t, key)
}

func wantNotDurableYet(t *testing.T, call string, err error) {
	t.Helper()
	var refusal *order.RefusalError
	if !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &refusal) || refusal.Reason != order.ReasonNotDurableYet {
		t.Errorf("%s got %v; want %s", call, err, order.ReasonNotDurableYet)
	}
}

// fakeBrokenLedger cannot book the outcome of a charge while it has an error. A status request reads it in the background.
type fakeBrokenLedger struct {
	payment.Ledger
	err atomic.Pointer[error]
}

func (l *fakeBrokenLedger) Record(ctx context.Context, c order.Charge) (order.Charge, error) {
	if err := l.err.Load(); err != nil {
		return order.Charge{}, *err
	}
	return l.Ledger.Record(ctx, c)
}

// TestPlaceOrder_ChargedAndNotBooked: the provider took the money and the ledger did not take the outcome, whatever error it had. The order
// stays PENDING; an error would invite a second order, and a released one would not be delivered although it is charged.
func TestPlaceOrder_ChargedAndNotBooked(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		ledger := &fakeBrokenLedger{Ledger: s.ledger}
		s.payment.Ledger = ledger
		for key, cause := range map[string]error{"busy": order.ErrOverloaded, "state": order.ErrFailedPrecondition, "away": order.ErrUnavailable} {
			ledger.err.Store(&cause)
			resp, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest(key, goodCard))
			if err != nil || resp.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
				t.Errorf("%v: got %v, %v; want PENDING", cause, resp.GetOrder().GetState(), err)
			}
			ledger.err.Store(nil)
			if o := s.place(t, key, goodCard); o.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
				t.Errorf("%v: the retry is %s, want PAID", cause, o.GetState())
			}
		}
	})
}
