package server

import (
	"context"
	"errors"
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
