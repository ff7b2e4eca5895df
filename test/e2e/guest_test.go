package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/spillway/spillway/auth/oidc/oidctest"
	"github.com/spillway/spillway/test/realparts"
)

// TestGuest_LogsInAtTheShopsOwnLogin fills a guest's cart, and takes it along to a customer of an outside issuer, who orders it: on embedded storage, and on
// Redis and MySQL.
func TestGuest_LogsInAtTheShopsOwnLogin(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T, args ...string) *shop{
		"embedded": func(t *testing.T, args ...string) *shop { return embedded(t, args...) },
		"real":     func(t *testing.T, args ...string) *shop { return onRealParts(t, realparts.Redis(t), args...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := oidctest.New(t)
			issuer.Add("k1", "RS256")
			s := open(t, "--oidc-issuer", issuer.URL, "--oidc-audience", oidctest.Audience)
			sku, guest, ada := s.product(20), s.guest(), issuer.Token("k1", "RS256", "ada")
			s.must("CartService/AddItem", guest, fmt.Sprintf(`{"sku":%q,"quantity":2}`, sku))
			s.eventually(startTimeout, "the issuer's keys", func() bool {
				r, err := s.call("CartService/GetCart", ada, "{}")
				return err == nil && r.Status == http.StatusOK
			})
			for range 2 {
				if r := s.must("CartService/MergeGuestCart", ada, fmt.Sprintf(`{"guestToken":%q}`, guest)); !strings.Contains(r.Raw, sku) {
					t.Fatalf("the cart after the merge: %s", r.Raw)
				}
			}
			fromCart := strings.Replace(orderBody(sku, 2, goodCard), fmt.Sprintf(`"lines":[{"sku":%q,"quantity":2}],`, sku), "", 1)
			placed := s.must("CheckoutService/PlaceOrder", ada, fromCart, "Idempotency-Key", "of-the-cart").Order
			read := fmt.Sprintf(`{"orderId":%q}`, placed.ID)
			if r := s.must("OrderService/GetOrder", ada, read); r.Order.ID != placed.ID {
				t.Errorf("ada's order: %s; want %s", r.Raw, placed.ID)
			}
			if r, err := s.definite("OrderService/GetOrder", guest, read); err != nil || r.Code != "not_found" {
				t.Errorf("the guest reads ada's order: %s, %v", r.Raw, err)
			}
			if r := s.must("CartService/GetCart", guest, "{}"); strings.Contains(r.Raw, sku) {
				t.Errorf("the guest still has a cart: %s", r.Raw)
			}
		})
	}
}
