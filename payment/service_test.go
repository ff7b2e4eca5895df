package payment_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/paymenttest"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/store"
)

const (
	goodCard     = "4242424242424242"
	declinedCard = "4000000000000002"
)

// newService returns the service with a ledger in a real database.
func newService(t *testing.T) (*payment.Service, *paymenttest.FakeProvider) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	ledger := store.NewCharges(db)
	t.Cleanup(func() {
		ledger.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &paymenttest.FakeProvider{Provider: simulated.New()}
	return &payment.Service{Provider: p, Ledger: ledger, Now: time.Now}, p
}

func newID() order.ID { return order.NewID(0, time.Now()) }

// charge charges EUR units with a card.
func charge(t *testing.T, p *payment.Service, id order.ID, units int64, number string) (*spillwayv1.ChargeRecord, error) {
	t.Helper()
	resp, err := p.Charge(t.Context(), &spillwayv1.ChargeRequest{
		OrderId: string(id), Amount: &spillwayv1.Money{CurrencyCode: "EUR", Units: units},
		Card: &spillwayv1.Card{Number: number, Cvv: "123", ExpiryYear: 2090, ExpiryMonth: 1},
	})
	return resp.GetCharge(), err
}

// wantState checks the state of the charge that GetCharge returns.
func wantState(t *testing.T, p *payment.Service, id order.ID, want spillwayv1.ChargeState) {
	t.Helper()
	resp, err := p.GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: string(id)})
	if err != nil || resp.GetCharge().GetState() != want {
		t.Errorf("charge of the order = %v, %v; want %v", resp.GetCharge().GetState(), err, want)
	}
}

func TestService_ConcurrentCharges(t *testing.T) {
	p, _ := newService(t)
	id := newID()
	ids := make([]string, 32)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			ch, err := charge(t, p, id, 12, goodCard)
			if err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED {
				t.Errorf("charge: %v, %v", ch.GetState(), err)
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
	if _, err := charge(t, p, id, 13, goodCard); !errors.Is(err, order.ErrAlreadyExists) {
		t.Errorf("another amount: %v; want ErrAlreadyExists", err)
	}
}

func TestService_DeclineIsFinal(t *testing.T) {
	p, _ := newService(t)
	id := newID()
	for _, number := range []string{declinedCard, goodCard} {
		ch, err := charge(t, p, id, 12, number)
		if err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_DECLINED || ch.GetDeclineCode() != "generic_decline" {
			t.Errorf("charge: %v, %v; want the first decline", ch, err)
		}
	}
}

func TestService_InvalidCharges(t *testing.T) {
	p, provider := newService(t)
	for name, c := range map[string]struct {
		id    order.ID
		units int64
		want  error
	}{
		"invalid id":      {"x", 12, order.ErrNotFound},
		"negative amount": {newID(), -12, order.ErrInvalid},
		"zero":            {newID(), 0, order.ErrInvalid},
	} {
		if _, err := charge(t, p, c.id, c.units, goodCard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
	if n := provider.Charges.Load(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
}

func TestService_UnknownOutcomeIsResolvedByGetCharge(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	provider.Lost.Store(true)
	if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Fatalf("a lost response: %v; want ErrUnknownOutcome", err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED)
	provider.Lost.Store(false)
	if ch, err := charge(t, p, id, 12, goodCard); err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED {
		t.Errorf("the retry: %v, %v", ch, err)
	}

	never := newID()
	provider.Down.Store(true)
	if _, err := charge(t, p, never, 12, goodCard); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Fatalf("no response: %v; want ErrUnknownOutcome", err)
	}
	wantState(t, p, never, spillwayv1.ChargeState_CHARGE_STATE_PENDING)
}

// TestService_ChargeMissingInTheLedger is the case of a process that died after the provider's response and before the commit.
func TestService_ChargeMissingInTheLedger(t *testing.T) {
	p, provider := newService(t)
	id, amount := newID(), order.Money{Currency: "EUR", Amount: 1200}
	card := payment.NewCard(goodCard, "123", 2090, 1)
	if _, err := provider.Provider.Charge(t.Context(), id, amount, card); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)}); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("void: %v; want ErrFailedPrecondition, because the card was charged", err)
	}
	resp, err := p.GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: string(id)})
	if err != nil || resp.GetCharge().GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED || resp.GetCharge().GetAmount().GetUnits() != 12 {
		t.Errorf("charge = %v, %v; want 12 EUR charged", resp.GetCharge(), err)
	}
	if _, err := p.GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: string(newID())}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("an order that was never charged: %v; want ErrNotFound", err)
	}
}

func TestService_ChargeOfVoidedOrderIsRefunded(t *testing.T) {
	void := func(t *testing.T, p *payment.Service, id order.ID) {
		t.Helper()
		for range 2 {
			resp, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)})
			if err != nil || resp.GetCharge().GetState() != spillwayv1.ChargeState_CHARGE_STATE_VOIDED {
				t.Fatalf("void: %v, %v", resp, err)
			}
		}
	}
	for name, lost := range map[string]bool{"with a response": false, "with a lost response": true} {
		t.Run("charged later, "+name, func(t *testing.T) {
			p, provider := newService(t)
			provider.Lost.Store(lost)
			id := newID()
			void(t, p, id)
			if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("charge: %v; want ErrFailedPrecondition", err)
			}
			wantRefunded(t, provider, id)
		})
		t.Run("charged meanwhile, "+name, func(t *testing.T) {
			p, provider := newService(t)
			provider.Lost.Store(lost)
			id := newID()
			provider.During = func() { void(t, p, id) }
			if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("charge: %v; want ErrFailedPrecondition", err)
			}
			wantRefunded(t, provider, id)
		})
	}
}

// wantRefunded checks that the provider has refunded the order or never charged it.
func wantRefunded(t *testing.T, p *paymenttest.FakeProvider, id order.ID) {
	t.Helper()
	outcome, found, err := p.Find(t.Context(), id)
	if err != nil || (found && outcome.Succeeded && !outcome.Refunded) {
		t.Errorf("the provider kept the money of a voided order: %+v, %v", outcome, err)
	}
}

func TestService_RefundIsIdempotent(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	refund := func() (*spillwayv1.RefundResponse, error) {
		return p.Refund(t.Context(), &spillwayv1.RefundRequest{OrderId: string(id), Reason: "lost"})
	}
	if _, err := refund(); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("nothing charged: %v; want ErrNotFound", err)
	}
	if _, err := charge(t, p, id, 12, goodCard); err != nil {
		t.Fatal(err)
	}
	first, err := refund()
	if err != nil {
		t.Fatal(err)
	}
	again, err := refund()
	if err != nil || again.GetRefundId() != first.GetRefundId() || first.GetRefundId() == "" {
		t.Errorf("refunds %q and %q, %v; want one", first.GetRefundId(), again.GetRefundId(), err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_REFUNDED)
	wantRefunded(t, provider, id)
	if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a charge after the refund: %v; want ErrFailedPrecondition", err)
	}
}

// TestService_UnrecordedChargeAfterVoid is the case of a process that died after its charge of a voided order, before it recorded the charge.
func TestService_UnrecordedChargeAfterVoid(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	if _, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)}); err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Charge(t.Context(), id, order.Money{Currency: "EUR", Amount: 1200}, payment.NewCard(goodCard, "123", 2090, 1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_REFUNDED)
	}
	if outcome, _, err := provider.Find(t.Context(), id); err != nil || !outcome.Refunded || provider.Refunds.Load() != 1 {
		t.Errorf("the provider has %+v (%v) after %d refunds", outcome, err, provider.Refunds.Load())
	}
}

// TestService_RefundIsConfirmedLater checks that a refund is recorded whatever the provider does, and is final once the provider confirms it.
func TestService_RefundIsConfirmedLater(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	if _, err := charge(t, p, id, 12, goodCard); err != nil {
		t.Fatal(err)
	}
	provider.Failing.Store(true)
	var refundID string
	for range 2 {
		resp, err := p.Refund(t.Context(), &spillwayv1.RefundRequest{OrderId: string(id), Reason: "lost"})
		if err != nil || resp.GetCharge().GetState() != spillwayv1.ChargeState_CHARGE_STATE_REFUNDING {
			t.Fatalf("refund: %v, %v; want REFUNDING", resp, err)
		}
		refundID = resp.GetRefundId()
	}
	if _, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)}); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("void: %v; want ErrFailedPrecondition", err)
	}
	if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a charge beside the refund: %v; want ErrFailedPrecondition", err)
	}
	execute := func() error {
		_, err := p.ExecuteRefund(t.Context(), &spillwayv1.ExecuteRefundRequest{RefundId: refundID})
		return err
	}
	if err := execute(); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("execute while refunds fail: %v; want ErrUnavailable", err)
	}
	provider.Failing.Store(false)
	for range 2 {
		if err := execute(); err != nil {
			t.Error(err)
		}
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_REFUNDED)
	wantRefunded(t, provider, id)
	if _, err := p.ExecuteRefund(t.Context(), &spillwayv1.ExecuteRefundRequest{RefundId: "nothing"}); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("an unknown refund: %v; want ErrNotFound", err)
	}
}

// TestService_LateChargeIsRecorded charges a voided order while the provider confirms no refunds. The ledger has the charge as REFUNDING.
func TestService_LateChargeIsRecorded(t *testing.T) {
	for name, lost := range map[string]bool{"with a response": false, "with a lost response": true} {
		t.Run(name, func(t *testing.T) {
			p, provider := newService(t)
			provider.Failing.Store(true)
			provider.Lost.Store(lost)
			id := newID()
			provider.During = func() {
				if _, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)}); err != nil {
					t.Error(err)
				}
			}
			if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("charge: %v; want ErrFailedPrecondition with a recorded refund", err)
			}
			resp, err := p.GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: string(id)})
			if ch := resp.GetCharge(); err != nil || ch.GetState() != spillwayv1.ChargeState_CHARGE_STATE_REFUNDING || ch.GetAmount().GetUnits() != 12 {
				t.Errorf("the ledger has %v (%v), want 12 EUR REFUNDING", ch, err)
			}
		})
	}
}

// TestService_UnknownChargeOfVoidedOrderIsRechecked has a provider that does not respond, and charges the card after the call has ended.
func TestService_UnknownChargeOfVoidedOrderIsRechecked(t *testing.T) {
	p, provider := newService(t)
	id := newID()
	if _, err := p.Void(t.Context(), &spillwayv1.VoidRequest{OrderId: string(id)}); err != nil {
		t.Fatal(err)
	}
	provider.Down.Store(true)
	if _, err := charge(t, p, id, 12, goodCard); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("charge: %v; want ErrFailedPrecondition", err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_VOIDED)
	if _, err := provider.Provider.Charge(t.Context(), id, order.Money{Currency: "EUR", Amount: 1200}, payment.NewCard(goodCard, "123", 2090, 1)); err != nil {
		t.Fatal(err)
	}
	wantState(t, p, id, spillwayv1.ChargeState_CHARGE_STATE_REFUNDED)
	wantRefunded(t, provider, id)
}
