package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// ordinary are the limits of a shop by default, which newShop lifts for the other tests.
var ordinary = []string{"--session-rate", "30", "--units-window", "24h", "--unpaid-orders", "2", "--unpaid-share", "10", "--unpaid-total", "10000"}

// mostSessions are several times as many sessions as one address may start in a minute.
const mostSessions = 200

// limited reports whether the answer names the limit and, unless no retry helps, when to come back.
func limited(r reply, limit string) bool {
	return strings.Contains(r.Raw, `"limit":"`+limit+`"`) &&
		(r.Code == "failed_precondition" || r.Code == "resource_exhausted" && r.Header.Get("Retry-After") != "")
}

// TestLimits_GuestsCannotHoldAStockWithoutPaying is the attack: free sessions, orders without a card, and nothing left for others.
func TestLimits_GuestsCannotHoldAStockWithoutPaying(t *testing.T) {
	for name, s := range map[string]*shop{
		"embedded":   embedded(t, ordinary...),
		"real parts": onRealParts(t, realparts.Redis(t), ordinary...),
	} {
		t.Run(name, func(t *testing.T) {
			sku, held := s.product(100), 0
			var refused string
			for guest := 0; guest < 40 && refused == ""; guest++ {
				r, err := s.available("SessionService/StartGuestSession", "", "{}")
				if err != nil || r.Status != http.StatusOK && !limited(r, "sessions_per_address") {
					t.Fatalf("session %d: %s (%v)", guest, r.Raw, err)
				}
				if r.Status != http.StatusOK {
					refused = "sessions"
					break
				}
				for i := range 5 {
					p, err := s.available("CheckoutService/PlaceOrder", r.Token, payLater(sku, 10), "Idempotency-Key", fmt.Sprint("k", i))
					switch {
					case err != nil:
						t.Fatal(err)
					case p.Status == http.StatusOK:
						held += 10
					case !limited(p, "unpaid_orders_per_customer") && !limited(p, "unpaid_units_of_product") && !limited(p, "units_per_customer"):
						t.Fatalf("guest %d, order %d: %s", guest, i, p.Raw)
					}
				}
			}
			// On a busy machine those 40 took longer than the minute for which sessions are counted.
			for n := 0; n < mostSessions && refused == ""; n++ {
				r, err := s.available("SessionService/StartGuestSession", "", "{}")
				if err != nil || r.Status != http.StatusOK && !limited(r, "sessions_per_address") {
					t.Fatalf("another session: %s (%v)", r.Raw, err)
				}
				if r.Status != http.StatusOK {
					refused = "sessions"
				}
			}
			if held != 10 || refused != "sessions" {
				t.Errorf("guests hold %d of 100 units without paying, and %q were limited; want 10 and sessions", held, refused)
			}
			honest := s.must("SessionService/StartGuestSession", s.operator(), "{}").Token // The address has none left.
			s.mustPay(honest, orderBody(sku, 9, goodCard), "k")
			if r, err := s.available("CheckoutService/PlaceOrder", honest, orderBody(sku, 2, goodCard), "Idempotency-Key", "k2"); err != nil ||
				!limited(r, "units_per_customer") {
				t.Errorf("11 units for one customer: %s (%v)", r.Raw, err)
			}
			if r, err := s.available("CheckoutService/PlaceOrder", honest, orderBody(sku, 11, goodCard), "Idempotency-Key", "k3"); err != nil ||
				limited(r, "units_per_order") == limited(r, "units_per_customer") {
				t.Errorf("11 units at once: %s (%v)", r.Raw, err)
			}
			s.must("CatalogService/UpdateProduct", s.operator(), fmt.Sprintf(`{"product":{"sku":%q,"maxPerCustomer":50},"updateMask":"maxPerCustomer"}`, sku))
			s.must("CheckoutService/PlaceOrder", honest, orderBody(sku, 11, goodCard), "Idempotency-Key", "k4")
		})
	}
}

// TestLimits_CardsThatDoNotAnswerCountAsUnpaid: they hold the stock for half a minute each.
func TestLimits_CardsThatDoNotAnswerCountAsUnpaid(t *testing.T) {
	s := embedded(t, ordinary...)
	token, sku := s.guest(), s.product(1000)
	for i := range 2 {
		if r := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, "4000000000000036"), "Idempotency-Key", fmt.Sprint(i)); r.Order.State != "ORDER_STATE_PENDING" {
			t.Fatalf("a provider that is down: %s", r.Raw)
		}
	}
	if r, err := s.available("CheckoutService/PlaceOrder", token, payLater(sku, 1), "Idempotency-Key", "later"); err != nil ||
		!limited(r, "unpaid_orders_per_customer") {
		t.Errorf("a third unpaid order: %s (%v)", r.Raw, err)
	}
}
