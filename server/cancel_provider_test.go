package server

import (
	"errors"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// cancelOrder cancels the order as its customer does.
func (s *shopFixture) cancelOrder(t *testing.T, id order.ID) error {
	t.Helper()
	o, err := s.checkout.Reader.latest(t.Context(), id)
	if err == nil {
		_, err = s.canceller.Cancel(t.Context(), o, order.CancelReason{Text: "by the customer"}, "c1")
	}
	return err
}

// TestCancel_UnpaidOrderNeedsNoProvider: an order for which no card was charged, or the last one was declined, is cancelled while the provider does
// not respond, also when the breaker of the calls that query it is open. One with a charge of unknown outcome is not: the money may be taken.
func TestCancel_UnpaidOrderNeedsNoProvider(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		pay := func(id order.ID, card string) error {
			_, err := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: string(id), Card: testCard(card)})
			return err
		}
		before := s.left(t)
		never, declined, unknown := order.ID(
			s.place(t, "never", "").GetId(),
		), order.ID(
			s.place(t, "declined", "").GetId(),
		), order.ID(
			s.place(t, "unknown", "").GetId(),
		)
		var decline *order.DeclinedError
		if err := pay(declined, declinedCard); !errors.As(err, &decline) {
			t.Fatalf("pay with a declined card: %v", err)
		}
		s.provider.Silent.Store(true)
		if err := pay(unknown, goodCard); err != nil {
			t.Fatalf("pay without a response: %v", err)
		}
		deadline := time.Now().Add(testWait)
		for s.payments.Policy.State() != "open" {
			_, _ = s.payments.Find(t.Context(), newID())
			if time.Now().After(deadline) {
				t.Fatal("the breaker of queries stays closed")
			}
		}
		if err := s.cancelOrder(t, unknown); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("cancel an order with a charge of unknown outcome: %v; want unavailable", err)
		}
		for name, id := range map[string]order.ID{"never charged": never, "declined": declined} {
			if err := s.cancelOrder(t, id); err != nil {
				t.Errorf("cancel an order that was %s: %v", name, err)
			}
			if err := pay(id, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("pay an order that was cancelled: %v", err)
			}
		}
		if left := s.left(t); left != before-1 {
			t.Errorf("%d units are left; want %d, all but that of the unknown charge", left, before-1)
		}
	})
}

// TestCancel_WhileTheFirstCardIsCharged: the ledger has the attempt before the provider does, so that the order is not cancelled as if no card had
// been charged.
func TestCancel_WhileTheFirstCardIsCharged(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		id := order.ID(s.place(t, "k", "").GetId())
		var voided bool
		var err error
		s.provider.During = func() { voided, err = s.payments.VoidUncharged(t.Context(), id) }
		resp, perr := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: string(id), Card: testCard(goodCard)})
		if perr != nil || resp.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PAID || voided || err != nil {
			t.Errorf("paid: %v, %v; voided meanwhile: %v, %v", resp.GetOrder(), perr, voided, err)
		}
		if voided, err := s.payments.VoidUncharged(t.Context(), id); voided || !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("a paid order was voided: %v, %v", voided, err)
		}
	})
}
