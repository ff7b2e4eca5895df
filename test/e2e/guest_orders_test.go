package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth/oidc/oidctest"
	"github.com/spillway/spillway/test/realparts"
)

// claims is a shop with customers of an outside issuer, who claim the orders of guests.
type claims struct {
	*shop
	ada, eve string
	// embedded storage keeps nothing in Redis over a restart.
	embedded bool
}

// onBothWithIssuer runs the test on embedded storage, and on Redis and MySQL.
func onBothWithIssuer(t *testing.T, test func(t *testing.T, s claims)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T, args ...string) *shop{
		"embedded": func(t *testing.T, args ...string) *shop { return embedded(t, args...) },
		"real":     func(t *testing.T, args ...string) *shop { return onRealParts(t, realparts.Redis(t), args...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := oidctest.New(t)
			issuer.Add("k1", "RS256")
			s := claims{
				open(t, "--oidc-issuer", issuer.URL, "--oidc-audience", oidctest.Audience), issuer.Token("k1", "RS256", "ada"), issuer.Token("k1", "RS256", "eve"),
				name == "embedded",
			}
			s.knowsIssuer()
			test(t, s)
		})
	}
}

// knowsIssuer waits until the shop has read the keys of the issuer.
func (s claims) knowsIssuer() {
	s.t.Helper()
	s.eventually(startTimeout, "the issuer's keys", func() bool {
		r, err := s.call("CartService/GetCart", s.ada, "{}")
		return err == nil && r.Status == http.StatusOK
	})
}

// claim claims the guest's orders as the customer.
func (s claims) claim(customer, guest string) (reply, error) {
	return s.definite("OrderService/ClaimGuestOrders", customer, fmt.Sprintf(`{"guestToken":%q}`, guest))
}

// buys orders one unit of the SKU.
func (s claims) buys(token, sku, key string) (reply, error) {
	return s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", key)
}

// lists returns the ids of the customer's orders, read in pages of two.
func (s claims) lists(token string) (ids []string) {
	page := ""
	for {
		var list struct {
			Orders        []struct{ ID string }
			NextPageToken string
		}
		r := s.must("OrderService/ListOrders", token, fmt.Sprintf(`{"pageSize":2,"pageToken":%q}`, page))
		if err := json.Unmarshal([]byte(r.Raw), &list); err != nil {
			s.t.Fatal(err)
		}
		for _, o := range list.Orders {
			ids = append(ids, o.ID)
		}
		if page = list.NextPageToken; page == "" {
			return ids
		}
	}
}

// TestGuestOrders_AreClaimedAfterALogin: the customer reads, watches and lists what the guest ordered, and the guest orders no more, also after a restart.
func TestGuestOrders_AreClaimedAfterALogin(t *testing.T) {
	t.Parallel()
	onBothWithIssuer(t, func(t *testing.T, s claims) {
		sku, guest := s.product(20), s.guest()
		var placed []string
		for i, token := range []string{guest, s.ada, guest} {
			r, err := s.buys(token, sku, fmt.Sprint("k", i))
			if err != nil || r.Status != http.StatusOK {
				t.Fatalf("order %d: %s, %v", i, r.Raw, err)
			}
			placed = append(placed, r.Order.ID)
		}
		for range 2 {
			if r, err := s.claim(s.ada, guest); err != nil || r.Status != http.StatusOK {
				t.Fatalf("the claim: %s, %v", r.Raw, err)
			}
		}
		if r, err := s.claim(s.eve, guest); err != nil || r.Code != "failed_precondition" || !strings.Contains(r.Raw, "GUEST_CLAIMED") {
			t.Errorf("the claim of another customer: %s, %v", r.Raw, err)
		}
		for _, id := range placed {
			if r := s.must("OrderService/GetOrder", s.ada, fmt.Sprintf(`{"orderId":%q}`, id)); r.Order.ID != id {
				t.Errorf("ada's order: %s", r.Raw)
			}
		}
		if w := s.watch(s.ada, placed[2], "", many); w.err != nil || !slices.Contains(w.states, watchedShipped) {
			t.Errorf("ada watches the guest's order: %v, %v", w.states, w.err)
		}
		want := slices.Sorted(slices.Values(placed))
		slices.Reverse(want)
		check := func(when string) {
			s.eventually(startTimeout, "ada's list "+when, func() bool { return slices.Equal(s.lists(s.ada), want) })
			if got := append(s.lists(guest), s.lists(s.eve)...); len(got) > 0 {
				t.Errorf("%s the guest or eve lists %v", when, got)
			}
			if r, err := s.buys(guest, sku, "k0"); err != nil || r.Order.ID != placed[0] {
				t.Errorf("%s the guest's retry: %s, %v; want %s", when, r.Raw, err, placed[0])
			}
			if s.embedded && when != "after the claim" {
				return
			}
			if r, err := s.buys(guest, sku, "another"); err != nil || r.Code != "failed_precondition" || !strings.Contains(r.Raw, "GUEST_CLAIMED") {
				t.Errorf("%s the guest orders: %s, %v", when, r.Raw, err)
			}
		}
		check("after the claim")
		if w := s.watch(guest, placed[0], "", many); connect.CodeOf(w.err) != connect.CodeNotFound {
			t.Errorf("the guest watches the order: %v, %v; want not_found", w.states, w.err)
		}
		s.kill()
		s.start()
		s.knowsIssuer()
		check("after a restart")
	})
}

// TestGuestOrders_ClaimedByTwoWhileOrdering: of two customers who hold the guest's token one gets all orders, those too that were under way, and no order is lost.
func TestGuestOrders_ClaimedByTwoWhileOrdering(t *testing.T) {
	t.Parallel()
	onBothWithIssuer(t, func(t *testing.T, s claims) {
		const orders = 30
		sku, guest := s.product(orders), s.guest()
		first, began := make(chan struct{}), sync.Once{}
		var mu sync.Mutex
		var placed, won []string
		var wg sync.WaitGroup
		for i := range 2 { // More at once are refused, because they charge cards.
			wg.Go(func() {
				for n := range orders / 2 {
					r, err := s.buys(guest, sku, fmt.Sprintf("k%d-%d", i, n))
					switch {
					case err == nil && r.Status == http.StatusOK:
						mu.Lock()
						placed = append(placed, r.Order.ID)
						mu.Unlock()
						began.Do(func() { close(first) })
					case err != nil || !strings.Contains(r.Raw, "GUEST_CLAIMED") && !strings.Contains(r.Raw, "UNIT_LIMIT_EXCEEDED"):
						t.Errorf("an order: %s, %v", r.Raw, err)
					}
				}
			})
		}
		for name, customer := range map[string]string{"ada": s.ada, "eve": s.eve} {
			wg.Go(func() {
				<-first
				for range 5 {
					r, err := s.claim(customer, guest)
					switch {
					case err == nil && r.Status == http.StatusOK:
						mu.Lock()
						won = append(won, name)
						mu.Unlock()
					case err != nil || !strings.Contains(r.Raw, "GUEST_CLAIMED"):
						t.Errorf("the claim of %s: %s, %v", name, r.Raw, err)
					}
				}
			})
		}
		wg.Wait()
		if len(won) != 5 || len(slices.Compact(won)) != 1 {
			t.Fatalf("claimed by %v; want one of them, 5 times", won)
		}
		winner, loser := s.ada, s.eve
		if won[0] == "eve" {
			winner, loser = loser, winner
		}
		slices.Sort(placed)
		slices.Reverse(placed)
		s.eventually(startTimeout, fmt.Sprintf("the list of all %d orders", len(placed)), func() bool { return slices.Equal(s.lists(winner), placed) })
		if got := append(s.lists(loser), s.lists(guest)...); len(got) > 0 {
			t.Errorf("the other customer or the guest lists %v", got)
		}
		if r, err := s.buys(guest, sku, "late"); err != nil || !strings.Contains(r.Raw, "GUEST_CLAIMED") {
			t.Errorf("a late order of the guest: %s, %v", r.Raw, err)
		}
	})
}
