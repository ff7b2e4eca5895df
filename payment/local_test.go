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
		defer charging.Close()
		c := Client{Service: s, Local: true, Charging: charging}
		for range cfg.Failures {
			began := time.Now()
			_, err := c.Charge(context.Background(), newID(), twelve, goodCard("4242424242424242"))
			if took := time.Since(began); took < providerTimeout || took >= cfg.Timeout {
				t.Errorf("the charge took %s; want %s to %s", took, providerTimeout, cfg.Timeout)
			}
			if !errors.Is(err, order.ErrUnknownOutcome) {
				t.Errorf("got %v; want ErrUnknownOutcome", err)
			}
			time.Sleep(probeTimeout) // The status request of the breaker fails as well.
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
	defer charging.Close()
	for name, local := range map[string]bool{"local": true, "with a timer": false} {
		c := Client{Service: s, Local: local, Charging: charging}
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

// stubProvider charges every card.
type stubProvider struct{ Provider }

func (stubProvider) Charge(context.Context, order.ID, order.Money, Card) (Outcome, error) {
	return Outcome{Succeeded: true, Attempt: 1}, nil
}
