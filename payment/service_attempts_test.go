package payment_test

import (
	"errors"
	"sync"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// chargeAgain charges EUR units with a card after a decline.
func chargeAgain(t *testing.T, p *payment.Service, id order.ID, units int64, number string) (*spillwayv1.ChargeRecord, error) {
	t.Helper()
	resp, err := p.Charge(t.Context(), &spillwayv1.ChargeRequest{
		OrderId: string(id), Amount: &spillwayv1.Money{CurrencyCode: "EUR", Units: units}, AfterDecline: true,
		Card: &spillwayv1.Card{Number: number, Cvv: "123", ExpiryYear: 2090, ExpiryMonth: 1},
	})
	return resp.GetCharge(), err
}

func TestService_AnotherCardAfterADecline(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	first, err := chargeAgain(t, p, id, 12, declinedCard)
	if err != nil || first.GetState() != spillwayv1.ChargeState_CHARGE_STATE_DECLINED || first.GetAttempt() != 1 {
		t.Fatalf("first card: %v, %v", first, err)
	}
	if ch, err := chargeAgain(t, p, id, 13, goodCard); !errors.Is(err, order.ErrAlreadyExists) {
		t.Errorf("another amount: %v, %v; want ErrAlreadyExists", ch, err)
	}
	second, err := chargeAgain(t, p, id, 12, goodCard)
	if err != nil || second.GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED || second.GetAttempt() != 2 ||
		second.GetChargeId() == first.GetChargeId() {
		t.Errorf("second card: %v, %v", second, err)
	}
	calls := provider.Charges.Load()
	for _, again := range []func(*testing.T, *payment.Service, order.ID, int64, string) (*spillwayv1.ChargeRecord, error){chargeAgain, charge} {
		if ch, err := again(t, p, id, 12, declinedCard); err != nil || ch.GetChargeId() != second.GetChargeId() {
			t.Errorf("a charge of a paid order: %v, %v; want the second attempt", ch, err)
		}
	}
	if n := provider.Charges.Load() - calls; n > 1 { // Only the call of charge reaches the provider, which has the order.
		t.Errorf("%d calls for an order that is paid", n)
	}
	if _, err := p.Refund(t.Context(), &spillwayv1.RefundRequest{OrderId: string(id), Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	wantRefunded(t, provider, id)
	if _, err := chargeAgain(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a charge after the refund: %v; want ErrFailedPrecondition", err)
	}
}

// TestService_ConcurrentCardsAfterADecline has two processes that share the ledger and the provider.
func TestService_ConcurrentCardsAfterADecline(t *testing.T) {
	for range 20 {
		p, provider := newService(t)
		other := &payment.Service{Provider: p.Provider, Ledger: p.Ledger, Now: p.Now}
		id := newID()
		if _, err := chargeAgain(t, p, id, 12, declinedCard); err != nil {
			t.Fatal(err)
		}
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				ch, err := chargeAgain(t, []*payment.Service{p, other}[i%2], id, 12, []string{goodCard, "5555555555554444"}[i%2])
				if err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED {
					t.Errorf("charge: %v, %v", ch, err)
				}
				ids[i] = ch.GetChargeId()
			})
		}
		wg.Wait()
		for _, got := range ids {
			if got != ids[0] || got == "" {
				t.Fatalf("two charges for one order: %v", ids)
			}
		}
		if o, _, err := provider.Find(t.Context(), id); err != nil || o.Attempt != 2 || !o.Succeeded {
			t.Errorf("the provider has %+v, %v; want one success, of attempt 2", o, err)
		}
	}
}

// TestService_UnknownOutcomeOfASecondCard checks that the decline of the first card is not taken for the outcome of the second.
func TestService_UnknownOutcomeOfASecondCard(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	if _, err := chargeAgain(t, p, id, 12, declinedCard); err != nil {
		t.Fatal(err)
	}
	provider.Down.Store(true)
	if _, err := chargeAgain(t, p, id, 12, goodCard); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("no response: %v; want ErrUnknownOutcome", err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_PENDING)
	provider.Down.Store(false)
	provider.Lost.Store(true)
	if _, err := chargeAgain(t, p, id, 12, goodCard); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("a lost response: %v; want ErrUnknownOutcome", err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED)
	if o, _, _ := provider.Find(t.Context(), id); o.Attempt != 2 {
		t.Errorf("the provider has %+v; want attempt 2, which was sent twice", o)
	}
}

// TestService_LateDeclineOfAnEarlierCard records a decline after the next attempt has started. It must not resolve that attempt.
func TestService_LateDeclineOfAnEarlierCard(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	slow := &payment.Service{Provider: p.Provider, Ledger: p.Ledger, Now: p.Now}
	began, release := make(chan struct{}), make(chan struct{})
	provider.After = func() { close(began); <-release }
	done := make(chan error)
	go func() {
		_, err := charge(t, slow, id, 12, declinedCard)
		done <- err
	}()
	<-began
	provider.After = nil
	if _, err := charge(t, p, id, 12, declinedCard); err != nil {
		t.Fatal(err)
	}
	provider.Down.Store(true)
	if _, err := chargeAgain(t, p, id, 12, goodCard); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Fatalf("second card: %v", err)
	}
	close(release)
	if err := <-done; !errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("the late caller: %v; want ErrUnknownOutcome", err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_PENDING)
}

func TestService_VoidBeforeAnotherCard(t *testing.T) {
	p, provider := newService(t)
	declined, charging := newID(), newID()
	void := func(id order.ID) {
		resp, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)})
		if err != nil || resp.GetCharge().GetState() != spillwayv1.ChargeState_CHARGE_STATE_VOIDED {
			t.Errorf("void: %v, %v", resp, err)
		}
	}
	for _, id := range []order.ID{declined, charging} {
		if _, err := chargeAgain(t, p, id, 12, declinedCard); err != nil {
			t.Fatal(err)
		}
	}
	void(declined)
	calls := provider.Charges.Load()
	if _, err := chargeAgain(t, p, declined, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) || provider.Charges.Load() != calls {
		t.Errorf("a voided order: %v after %d calls; want ErrFailedPrecondition without any", err, provider.Charges.Load()-calls)
	}
	provider.During = func() { void(charging) }
	if _, err := chargeAgain(t, p, charging, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("voided while the second card was charged: %v; want ErrFailedPrecondition", err)
	}
	wantRefunded(t, provider, charging)
}

func TestService_TooManyCards(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	for range order.MaxChargeAttempts {
		if ch, err := chargeAgain(t, p, id, 12, declinedCard); err != nil || ch.GetDeclineCode() != "generic_decline" {
			t.Fatalf("charge: %v, %v", ch, err)
		}
	}
	calls := provider.Charges.Load()
	ch, err := chargeAgain(t, p, id, 12, goodCard)
	if err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_DECLINED || ch.GetDeclineCode() != "too_many_attempts" ||
		provider.Charges.Load() != calls {
		t.Errorf("one card more: %v, %v", ch, err)
	}
}
