package shipping

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// stubRates know the euro, at two dollars, and are too old for the yen.
type stubRates struct{}

func (stubRates) Convert(m order.Money, to order.Currency) (order.Money, error) {
	switch to {
	case "EUR":
		return order.Money{Currency: to, Amount: m.Amount / 2}, nil
	case "JPY":
		return order.Money{}, &order.RatesTooOldError{Date: "2025-01-02"}
	}
	return order.Money{}, order.ErrInvalid
}

// TestLocal_QuotesAsClient compares Local with a Client of the same service, for arbitrary items, also for those that are not valid.
func TestLocal_QuotesAsClient(t *testing.T) {
	policy := breaker.NewPolicy(breaker.Shipping, breaker.DefaultPolicies()[breaker.Shipping])
	service := Service{Rates: stubRates{}}
	local, client := Local{Service: service, Policy: policy}, Client{Service: service, Policy: policy}
	rapid.Check(t, func(r *rapid.T) {
		to := order.Address{CountryCode: rapid.SampledFrom([]string{"US", "DE", "BR", ""}).Draw(r, "country")}
		items := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) order.Demand {
			return order.Demand{
				SKU:      order.SKU(rapid.SampledFrom([]string{"A", "B", "C"}).Draw(r, "sku")),
				Quantity: rapid.SampledFrom([]int{-1, 0, 1, 2, 19, order.MaxQuantity, order.MaxQuantity + 1}).Draw(r, "quantity"),
			}
		}), 0, order.MaxLines+1).Draw(r, "items")
		currency := rapid.SampledFrom([]order.Currency{"", "EUR", "JPY", "XXX"}).Draw(r, "currency")
		got, err := local.Quote(t.Context(), to, items, currency)
		want, wantErr := client.Quote(t.Context(), to, items, currency)
		if got != want || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			r.Fatalf("got %v, %v; want %v, %v", got, err, want, wantErr)
		}
	})
	if policy.State() != "closed" {
		t.Errorf("requests that are not valid made the breaker %s", policy.State())
	}
}

func TestLocal_OpenBreaker(t *testing.T) {
	policy := breaker.NewPolicy(breaker.Shipping, breaker.DefaultPolicies()[breaker.Shipping])
	for policy.Permit() == nil {
		policy.Report(order.ErrUnavailable)
	}
	_, err := Local{Service: Service{Rates: stubRates{}}, Policy: policy}.Quote(t.Context(), order.Address{}, []order.Demand{{SKU: "A", Quantity: 1}}, "EUR")
	if !errors.Is(err, breaker.ErrNotSent) {
		t.Errorf("got %v; want ErrNotSent", err)
	}
}

func BenchmarkQuote(b *testing.B) {
	policy := breaker.NewPolicy(breaker.Shipping, breaker.DefaultPolicies()[breaker.Shipping])
	service, items := Service{Rates: stubRates{}}, []order.Demand{{SKU: "A", Quantity: 1}}
	b.Run("local", func(b *testing.B) {
		l := Local{Service: service, Policy: policy}
		b.ReportAllocs()
		for b.Loop() {
			_, _ = l.Quote(b.Context(), order.Address{}, items, "EUR")
		}
	})
	b.Run("client", func(b *testing.B) {
		c := Client{Service: service, Policy: policy}
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Quote(b.Context(), order.Address{}, items, "EUR")
		}
	})
}
