package payment

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// hangingProvider responds to nothing before its context ends.
type hangingProvider struct{ Provider }

func (hangingProvider) Charge(ctx context.Context, _ order.ID, _ order.Money, _ Card) (Outcome, error) {
	<-ctx.Done()
	return Outcome{}, ctx.Err()
}

func (hangingProvider) Find(ctx context.Context, _ order.ID) (Outcome, bool, error) {
	<-ctx.Done()
	return Outcome{}, false, ctx.Err()
}

// stubLedger stores each charge as it is.
type stubLedger struct{ Ledger }

func (stubLedger) Record(_ context.Context, ch order.Charge) (order.Charge, error) { return ch, nil }
func (stubLedger) Get(context.Context, order.ID) (order.Charge, error) {
	return order.Charge{}, order.ErrNotFound
}

// TestClient_LocalChargeIsBoundedByTheService checks that a charge in this process, which has no timer in the client, ends while the provider
// hangs: before the timeout that a client of a remote service has, and also if its caller has no deadline. The breaker gets its outcome.
func TestClient_LocalChargeIsBoundedByTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := breaker.DefaultPolicies()[breaker.Charges]
		policy := breaker.NewPolicy(breaker.Charges, cfg)
		s := &Service{Provider: hangingProvider{}, Ledger: stubLedger{}, Now: time.Now}
		charging := NewCharging(policy, s)
		defer func() { _ = charging.Close() }()
		c := Client{Service: s, Local: s, Charging: charging}
		for range cfg.Failures {
			began := time.Now()
			_, err := c.Charge(context.Background(), newID(), twelve, goodCard("4242424242424242"))
			if took := time.Since(began); took < providerTimeout || took >= cfg.Timeout {
				t.Errorf("the charge took %s; want %s to %s", took, providerTimeout, cfg.Timeout)
			}
			if !errors.Is(err, order.ErrUnknownOutcome) {
				t.Errorf("got %v; want ErrUnknownOutcome", err)
			}
			<-time.After(probeTimeout) // The status request of the breaker fails as well.
		}
		if policy.State() != "open" {
			t.Errorf("after %d charges of a provider that hangs the breaker is %s", cfg.Failures, policy.State())
		}
	})
}

func BenchmarkClient_Charge(b *testing.B) {
	policy := breaker.NewPolicy(breaker.Charges, breaker.DefaultPolicies()[breaker.Charges])
	s := &Service{Provider: stubProvider{}, Ledger: stubLedger{}, Now: time.Now}
	charging := NewCharging(policy, s)
	defer func() { _ = charging.Close() }()
	for name, c := range map[string]Client{"local": {Service: s, Local: s, Charging: charging}, "by messages": {Service: s, Charging: charging}} {
		b.Run(name, func(b *testing.B) {
			card := goodCard("4242424242424242")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Charge(b.Context(), newID(), twelve, card); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cardProvider has an outcome for each card.
type cardProvider struct{ Provider }

func (cardProvider) Charge(_ context.Context, _ order.ID, _ order.Money, card Card) (Outcome, error) {
	switch card.Number() {
	case "declined":
		return Outcome{DeclineCode: "lost_card", Attempt: 1}, nil
	case "unknown":
		return Outcome{}, errors.New("no response")
	}
	return Outcome{Succeeded: true, Attempt: 1}, nil
}

func (cardProvider) Find(context.Context, order.ID) (Outcome, bool, error) {
	return Outcome{}, false, nil
}

// TestClient_LocalChargesAsByMessages compares charges in this process with those by messages: results, and errors with
// their classes.
func TestClient_LocalChargesAsByMessages(t *testing.T) {
	s := &Service{Provider: cardProvider{}, Ledger: stubLedger{}, Now: time.Now}
	newPolicy := func() *breaker.Policy {
		return breaker.NewPolicy(breaker.Charges, breaker.DefaultPolicies()[breaker.Charges])
	}
	local := Client{Service: s, Local: s, Charging: newCharging(t, newPolicy(), s)}
	sent := Client{Service: s, Charging: newCharging(t, newPolicy(), s)}
	for name, c := range map[string]struct {
		id     order.ID
		amount order.Money
		card   string
	}{
		"success":           {newID(), twelve, "4242 4242 4242 4242"},
		"declined":          {newID(), twelve, "declined"},
		"unknown":           {newID(), twelve, "unknown"},
		"nothing to charge": {newID(), order.Money{Currency: "EUR"}, "4242424242424242"},
		"negative":          {newID(), order.Money{Currency: "EUR", Amount: -1}, "4242424242424242"},
		"no order id":       {"?", twelve, "4242424242424242"},
	} {
		got, err := local.Charge(t.Context(), c.id, c.amount, goodCard(c.card))
		want, wantErr := sent.Charge(t.Context(), c.id, c.amount, goodCard(c.card))
		got.ChargeID, want.ChargeID = "", "" // They are random.
		if got != want || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, want, wantErr)
		}
		for _, class := range []error{order.ErrUnknownOutcome, order.ErrInvalid, order.ErrUnavailable} {
			if errors.Is(err, class) != errors.Is(wantErr, class) {
				t.Errorf("%s: %v is %v: %t", name, err, class, errors.Is(err, class))
			}
		}
	}
}

// stubProvider charges every card.
type stubProvider struct{ Provider }

func (stubProvider) Charge(context.Context, order.ID, order.Money, Card) (Outcome, error) {
	return Outcome{Succeeded: true, Attempt: 1}, nil
}
