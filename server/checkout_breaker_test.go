package server

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// badCards is how many failures in a row open a breaker.
	badCards     = 10
	noAnswerCard = "4000000000000259"
	errorCard    = "4000000000000036"
)

// TestCheckout_BadCardsOpenNoBreaker: charges without an outcome say something about the cards of one customer, not about the provider (I17).
func TestCheckout_BadCardsOpenNoBreaker(t *testing.T) {
	for name, card := range map[string]string{"never answers": noAnswerCard, "error at once": errorCard} {
		t.Run(name, func(t *testing.T) {
			s := openTestShop(t, realparts.MySQL(t))
			var wg sync.WaitGroup
			for i := range badCards {
				wg.Go(func() {
					resp, err := s.checkout.PlaceOrder(as(t.Context(), "bad"), placeRequest(fmt.Sprint("bad-", i), card))
					if err != nil || resp.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
						t.Errorf("place with a bad card: %v, %v; want PENDING", resp.GetOrder(), err)
					}
				})
			}
			wg.Wait()
			good := s.place(t, "good", goodCard)
			if good.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
				t.Errorf("after %d bad cards of another customer the order is %s", badCards, good.GetState())
			}
			if _, err := s.payments.Find(t.Context(), order.ID(good.GetId())); err != nil {
				t.Errorf("find a charge: %v", err)
			}
			if err := s.payments.Void(t.Context(), newID()); err != nil {
				t.Errorf("void an order: %v", err)
			}
		})
	}
}

// TestCheckout_ProviderThatIsDownOpensItsBreaker: the status requests fail as the charges do.
func TestCheckout_ProviderThatIsDownOpensItsBreaker(t *testing.T) {
	s := openTestShop(t, realparts.MySQL(t))
	s.provider.Silent.Store(true)
	charge := func() error {
		_, err := s.payments.Charge(t.Context(), newID(), order.Money{Currency: "EUR", Amount: 1200}, cardOf(testCard(goodCard)))
		return err
	}
	for range badCards {
		if err := charge(); !errors.Is(err, order.ErrUnknownOutcome) {
			t.Fatalf("a charge of a provider that is down: %v; want an unknown outcome", err)
		}
	}
	deadline := time.Now().Add(testWait)
	for errors.Is(charge(), order.ErrUnknownOutcome) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s the breaker is closed", testWait)
		}
	}
}

// TestPlaceOrder_OpenBreakerReservesNothing: while charges are not sent, an order with a card is refused and holds no stock. A retry with
// the same key succeeds when the provider is back, and one for an order that exists gets that.
func TestPlaceOrder_OpenBreakerReservesNothing(t *testing.T) {
	s := openTestShop(t, realparts.MySQL(t))
	paid := s.place(t, "paid", goodCard)
	s.provider.Silent.Store(true)
	deadline := time.Now().Add(testWait)
	for s.payments.Ready() == nil {
		_, _ = s.payments.Charge(t.Context(), newID(), order.Money{Currency: "EUR", Amount: 1200}, cardOf(testCard(goodCard)))
		if time.Now().After(deadline) {
			t.Fatalf("after %s the breaker is closed", testWait)
		}
	}
	before := s.left(t)
	_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("refused", goodCard))
	var retry *order.RetryError
	if !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) || errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("place an order while charges are not sent: %v; want unavailable with a retry hint", err)
	}
	if left := s.left(t); left != before {
		t.Errorf("%d units are left; want %d, as before the refused order", left, before)
	}
	if again := s.place(t, "paid", goodCard); again.GetId() != paid.GetId() {
		t.Errorf("a retry of an order that was placed before is %s; want %s", again.GetId(), paid.GetId())
	}
	s.provider.Silent.Store(false)
	deadline = time.Now().Add(testWait)
	for {
		resp, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("refused", goodCard))
		if err == nil && resp.GetOrder().GetState() == spillwayv1.OrderState_ORDER_STATE_PAID {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the provider came back: %v, %v", resp.GetOrder(), err)
		}
	}
}
