package stock_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// wantClaimed checks that the order was refused because a customer has claimed its guest.
func wantClaimed(t *testing.T, err error) {
	t.Helper()
	var refused *order.RefusalError
	if !errors.As(err, &refused) || refused.Reason != order.ReasonGuestClaimed {
		t.Errorf("got %v; want %s", err, order.ReasonGuestClaimed)
	}
}

// claimKept is how long the tests keep a claim: longer than the window of units.
const claimKept = 31 * 24 * time.Hour

func (s *shop) mustClaim(t *testing.T, guest, customer order.CustomerID) {
	t.Helper()
	if err := s.ClaimGuest(t.Context(), guest, customer, claimKept); err != nil {
		t.Fatal(err)
	}
}

// TestClaimGuest_PlacesNoFurtherOrders: an order of before is returned to its retry, with the same id or another one, and finished.
func TestClaimGuest_PlacesNoFurtherOrders(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 10})
		before := of("guest_1", request("k1", units("A", 1)))
		s.mustReserve(t, before)
		for range 2 {
			s.mustClaim(t, "guest_1", "ada")
		}
		_, err := s.Reserve(t.Context(), of("guest_1", request("k2", units("A", 1))))
		wantClaimed(t, err)
		s.wantLeft(t, "A", 9)
		s.mustReserve(t, before)
		retry := of("guest_1", request("k1", units("A", 1)))
		if res := s.mustReserve(t, retry); res.Replay != before.OrderID {
			t.Errorf("the retry of the order got %q; want %s", res.Replay, before.OrderID)
		}
		if _, err := s.Settle(t.Context(), before.OrderID, "ch", ""); err != nil {
			t.Errorf("the order of before cannot be paid: %v", err)
		}
		for _, other := range []order.CustomerID{"ada", "guest_2"} {
			s.mustReserve(t, of(other, request("k2", units("A", 1))))
		}
		s.wantLeft(t, "A", 7)
	})
}

// TestClaimGuest_UnitsCountForTheCustomer: whichever of both ordered them, and once they are back the customer may order them again.
func TestClaimGuest_UnitsCountForTheCustomer(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		released, restocked := of("guest_1", atMost(10, request("k1", units("A", 3)))), of("guest_1", atMost(10, request("k2", units("A", 2))))
		for _, r := range []stock.Request{released, restocked, of("ada", atMost(10, request("k1", units("A", 4))))} {
			s.mustReserve(t, r)
		}
		if _, err := s.Settle(t.Context(), restocked.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		for range 2 { // Again: it counts nothing twice.
			s.mustClaim(t, "guest_1", "ada")
		}
		mayOrder := func(key string, n int) {
			t.Helper()
			_, err := s.Reserve(t.Context(), of("ada", atMost(10, request(key, units("A", n+1)))))
			wantLimit(t, err, order.LimitCustomerUnits, 10)
			r := of("ada", atMost(10, request(key, units("A", n))))
			s.mustReserve(t, r)
			if _, err := s.Release(t.Context(), r.OrderID, "r", ""); err != nil {
				t.Fatal(err)
			}
		}
		mayOrder("k2", 1)
		if _, err := s.Release(t.Context(), released.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		mayOrder("k3", 4)
		if _, err := s.Restock(t.Context(), 1, restocked.OrderID, restocked.Customer, []order.Delta{{SKU: "A", Units: 2}}, "r"); err != nil {
			t.Fatal(err)
		}
		mayOrder("k4", 6)
		s.wantLeft(t, "A", 1000-4)
	})
}

// TestClaimGuest_OfACustomerWithoutOrders: the window of the guest becomes that of the customer, and ends when it would have.
func TestClaimGuest_OfACustomerWithoutOrders(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		for _, guest := range []order.CustomerID{"guest_1", "guest_2"} {
			s.mustReserve(t, of(guest, atMost(10, request("k", units("A", 4)))))
			s.mustClaim(t, guest, "ada")
		}
		s.mustClaim(t, "guest_without_orders", "ada")
		_, err := s.Reserve(t.Context(), of("ada", atMost(10, request("k", units("A", 3)))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
		s.mustReserve(t, of("ada", atMost(10, request("k", units("A", 2)))))
		c := s.redis.Client()
		window := limitless().UnitsWindow
		ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Bought("ada")).Build()).AsInt64()
		if err != nil || ttl <= 0 || ttl > int64(window.Seconds()) {
			t.Errorf("the window of ada ends in %d s (%v); want within %s", ttl, err, window)
		}
		ttl, err = c.Do(t.Context(), c.B().Ttl().Key(s.keys.Claimed("guest_1")).Build()).AsInt64()
		if kept := int64(claimKept.Seconds()); err != nil || ttl < kept-60 || ttl > kept {
			t.Errorf("the guest is refused for %d s (%v); want %s", ttl, err, claimKept)
		}
	})
}

// TestClaimGuest_WindowOfTheCustomerEndsLater: units of the guest come back to the customer as long as they count, though the guest's own window would have ended.
func TestClaimGuest_WindowOfTheCustomerEndsLater(t *testing.T) {
	const window = time.Second
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		c := s.redis.Client()
		var guests stock.Request
		var ada order.CustomerID
		var began time.Time
		for attempt := 0; time.Since(began) > window; attempt++ { // On a busy machine the window may end before the claim.
			guest := order.CustomerID(fmt.Sprint("guest_", attempt))
			ada, guests = order.CustomerID(fmt.Sprint("ada", attempt)), of(guest, atMost(10, request("k", units("A", 6))))
			s.mustReserve(t, guests)
			s.mustReserve(t, of(ada, atMost(10, request("k1", units("A", 4)))))
			began = time.Now()
			if err := c.Do(t.Context(), c.B().Expire().Key(s.keys.Bought(guest)).Seconds(int64(window.Seconds())).Build()).Error(); err != nil {
				t.Fatal(err)
			}
			s.mustClaim(t, guest, ada)
		}
		<-time.After(window + 100*time.Millisecond) // The guest's window would have ended.
		_, err := s.Reserve(t.Context(), of(ada, atMost(10, request("k2", units("A", 1)))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
		if _, err := s.Release(t.Context(), guests.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		s.mustReserve(t, of(ada, atMost(10, request("k3", units("A", 6)))))
	})
}
