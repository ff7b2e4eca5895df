package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const mergeProcedure = spillwayv1connect.CartServiceMergeGuestCartProcedure

// merge requests a merge.
func merge(guestToken string) string { return fmt.Sprintf(`{"guestToken":%q}`, guestToken) }

// guestCarts serves carts of a Redis in the process, with one of B in that of "guest_1".
func guestCarts(t *testing.T) (*edgeFixture, *cart.Carts) {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{miniredis.RunT(t).Addr()}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	carts := cart.New("test", client, stubBreaker{})
	if _, err := carts.Add(t.Context(), "guest_1", order.Demand{SKU: "B", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	service := newDetailedCart(t)
	service.Carts, service.Guests, service.Tokens = carts, carts, tokens
	return startServer(t, Services{Cart: service}, func(cfg *Config) { cfg.Tokens = tokens }), carts
}

// units returns how many units of B the customer has in the cart.
func units(t *testing.T, carts *cart.Carts, customer order.CustomerID) (n int) {
	t.Helper()
	found, err := carts.Get(context.WithoutCancel(t.Context()), customer)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found.Items {
		n += d.Quantity
	}
	return n
}

func TestMergeGuestCart(t *testing.T) {
	e, carts := guestCarts(t)
	for range 2 {
		status, _, body := e.post(t, mergeProcedure, e.token(t, "ada"), merge(e.token(t, "guest_1")))
		var got struct {
			Cart struct {
				Items []struct {
					Sku, Name string
					Quantity  int
				}
			}
			LeftOut []any
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK {
			t.Fatalf("status %d, %s, %v", status, body, err)
		}
		if items := got.Cart.Items; len(items) != 1 || items[0].Sku != "B" || items[0].Quantity != 1 || items[0].Name == "" || len(got.LeftOut) != 0 {
			t.Errorf("%s; want one B with its name", body)
		}
	}
	if units(t, carts, "guest_1") != 0 {
		t.Error("the guest still has the cart")
	}
}

// TestMergeGuestCart_OnlyOfGuests checks that a token of anyone but a guest of this shop moves nothing, and that a guest gets nothing.
func TestMergeGuestCart_OnlyOfGuests(t *testing.T) {
	e, carts := guestCarts(t)
	for _, who := range []order.CustomerID{"eve", "guestling"} {
		if _, err := carts.Add(t.Context(), who, order.Demand{SKU: "B", Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	expired, _, err := e.tokens.Mint(auth.Caller{Customer: "guest_1"}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := auth.NewTokens([]byte(strings.Repeat("x", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := foreign.Mint(auth.Caller{Customer: "guest_1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another customer": e.token(t, "eve"), "one that looks like a guest": e.token(t, "guestling"), "the caller": e.token(t, "ada"),
		"an operator": e.token(t, "guest_1", auth.Operator), "expired": expired, "of another shop": forged, "none": "x",
	} {
		if status, _, body := e.post(t, mergeProcedure, e.token(t, "ada"), merge(token)); status != http.StatusBadRequest ||
			!strings.Contains(body, "GUEST_TOKEN_INVALID") {
			t.Errorf("%s: status %d, %s; want GUEST_TOKEN_INVALID", name, status, body)
		}
	}
	if status, _, body := e.post(t, mergeProcedure, e.token(t, "guest_2"), merge(e.token(t, "guest_1"))); status != http.StatusForbidden ||
		!strings.Contains(body, "LOGIN_REQUIRED") {
		t.Errorf("by a guest: status %d, %s; want LOGIN_REQUIRED", status, body)
	}
	if status, _, body := e.post(t, mergeProcedure, "", merge(e.token(t, "guest_1"))); status != http.StatusUnauthorized {
		t.Errorf("by nobody: status %d, %s", status, body)
	}
	if n := units(t, carts, "ada") + units(t, carts, "guest_2"); n != 0 || units(t, carts, "guest_1") != 1 || units(t, carts, "eve") != 1 {
		t.Errorf("%d units were moved", n)
	}
}
