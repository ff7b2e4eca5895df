package sqlmode

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// TestReserve_OfAClaimedGuest: the guest places no further orders, but gets those of before, and what the guest ordered counts for the customer.
func TestReserve_OfAClaimedGuest(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.DefaultLimits())
		reserve := func(customer order.CustomerID, key string, n int) (stock.Reservation, error) {
			r := request(t, customer, key, order.Demand{SKU: "A", Quantity: n})
			r.MaxUnits = map[order.SKU]int{"A": 10}
			return m.Reserve(t.Context(), f.epoch, r)
		}
		must := func(customer order.CustomerID, key string, n int) stock.Reservation {
			t.Helper()
			res, err := reserve(customer, key, n)
			f.must(err)
			return res
		}
		must("guest_1", "k1", 3)
		must("guest_2", "k1", 4)
		must("ada", "k1", 1)
		for _, guest := range []order.CustomerID{"guest_1", "guest_2"} {
			f.must(store.NewGuestClaims(f.db).Claim(t.Context(), store.GuestClaim{Guest: guest, Customer: "ada", At: time.Now()}))
		}
		var refused *order.RefusalError
		if _, err := reserve("guest_1", "k2", 1); !errors.As(err, &refused) || refused.Reason != order.ReasonGuestClaimed {
			t.Errorf("a further order of the guest: %v; want %s", err, order.ReasonGuestClaimed)
		}
		if res := must("guest_1", "k1", 3); res.Replay == "" {
			t.Error("a retry of the guest's order made another one")
		}
		if _, err := reserve("ada", "k2", 3); outcome(err) != "limit "+string(order.LimitCustomerUnits) {
			t.Errorf("3 units beside 8: %v; want the limit of 10", err)
		}
		must("ada", "k3", 2)
		must("guest_3", "k1", 4)
		must("bob", "k1", 10)
		f.audit()
	})
}
