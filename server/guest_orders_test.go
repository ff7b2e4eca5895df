package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	claimProcedure  = spillwayv1connect.OrderServiceClaimGuestOrdersProcedure
	getProcedure    = spillwayv1connect.OrderServiceGetOrderProcedure
	listProcedure   = spillwayv1connect.OrderServiceListOrdersProcedure
	cancelProcedure = spillwayv1connect.OrderServiceCancelOrderProcedure
	payProcedure    = spillwayv1connect.CheckoutServicePayOrderProcedure
	guestA, guestB  = "guest_a", "guest_b"
)

// guestShop is a shop behind a server.
type guestShop struct {
	*shopFixture
	e *edgeFixture
	// ender is what ends the sessions of guests.
	ender *fakeEnder
}

// fakeEnder is the stock, or fails.
type fakeEnder struct {
	GuestEnder
	err error
}

func (f *fakeEnder) ClaimGuest(ctx context.Context, guest, customer order.CustomerID, keep time.Duration) error {
	if f.err != nil {
		return f.err
	}
	return f.GuestEnder.ClaimGuest(ctx, guest, customer, keep)
}

func openGuestShop(t *testing.T, s *shopFixture) *guestShop {
	t.Helper()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	g := &guestShop{shopFixture: s, ender: &fakeEnder{GuestEnder: s.Stock}}
	orders := Orders{
		Reader: s.checkout.Reader, Changing: s.checkout.Reader, Canceller: s.canceller, Refunder: s.refunder,
		Claims: store.NewGuestClaims(s.db), Guests: g.ender, Tokens: tokens,
	}
	g.e = startServer(t, Services{Order: orders, Checkout: s.checkout}, func(cfg *Config) { cfg.Tokens = tokens })
	return g
}

// call sends a request as the customer, and returns the status and the body.
func (g *guestShop) call(t *testing.T, procedure, customer, body string) (int, string) {
	t.Helper()
	status, _, text := g.e.post(t, procedure, g.e.token(t, customer), body)
	return status, text
}

// want sends a request as the customer, and checks the response's status and that its body has the text.
func (g *guestShop) want(t *testing.T, procedure, customer, body string, status int, text string) string {
	t.Helper()
	got, answer := g.call(t, procedure, customer, body)
	if got != status || !strings.Contains(answer, text) {
		t.Errorf("%s by %s: %d %s; want %d with %q", procedure, customer, got, answer, status, text)
	}
	return answer
}

// placed places an order of the customer; without a card number it is paid later.
func (g *guestShop) placed(t *testing.T, customer order.CustomerID, key, card string) string {
	t.Helper()
	resp, err := g.checkout.PlaceOrder(as(t.Context(), customer), placeRequest(key, card))
	if err != nil {
		t.Fatalf("place %s of %s: %v", key, customer, err)
	}
	return resp.GetOrder().GetId()
}

// list returns the ids of the customer's orders.
func (g *guestShop) list(t *testing.T, customer string) (ids []string) {
	t.Helper()
	_, body := g.call(t, listProcedure, customer, "{}")
	var page struct{ Orders []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Orders {
		ids = append(ids, o.ID)
	}
	return ids
}

// isRefusal reports whether the error has the reason.
func isRefusal(err error, reason order.Reason) bool {
	var refused *order.RefusalError
	return errors.As(err, &refused) && refused.Reason == reason
}

func (g *guestShop) claimBody(t *testing.T, guest string) string {
	t.Helper()
	return fmt.Sprintf(`{"guestToken":%q}`, g.e.token(t, guest))
}

// TestClaimGuestOrders: what the guest placed before is the customer's, with and without a row, and the guest's no more.
func TestClaimGuestOrders(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		g := openGuestShop(t, s)
		written, own := g.placed(t, guestA, "k1", goodCard), g.placed(t, "ada", "k1", goodCard)
		g.flush(t)
		hot := g.placed(t, guestA, "k2", "")
		other := g.placed(t, guestB, "k1", goodCard)
		for _, id := range []string{written, hot} {
			g.want(t, getProcedure, "ada", idBody(id), http.StatusNotFound, "ORDER_NOT_FOUND")
		}
		for range 2 {
			g.want(t, claimProcedure, "ada", g.claimBody(t, guestA), http.StatusOK, "{}")
		}
		for _, id := range []string{written, hot} {
			g.want(t, getProcedure, "ada", idBody(id), http.StatusOK, guestA)
			g.want(t, getProcedure, "eve", idBody(id), http.StatusNotFound, "ORDER_NOT_FOUND")
			g.want(t, getProcedure, guestB, idBody(id), http.StatusNotFound, "ORDER_NOT_FOUND")
			g.want(t, cancelProcedure, guestA, idBody(id), http.StatusNotFound, "ORDER_NOT_FOUND")
		}
		g.want(t, getProcedure, guestA, idBody(written), http.StatusNotFound, "ORDER_NOT_FOUND")
		g.want(t, getProcedure, "ada", idBody(other), http.StatusNotFound, "ORDER_NOT_FOUND")
		card := fmt.Sprintf(`{"orderId":%q,"card":{"number":%q,"cvv":"123","expiryYear":2090,"expiryMonth":1}}`, hot, goodCard)
		g.want(t, payProcedure, guestA, card, http.StatusNotFound, "ORDER_NOT_FOUND")
		g.want(t, payProcedure, "ada", card, http.StatusOK, "ORDER_STATE_PAID")
		g.flush(t)
		g.want(t, getProcedure, guestA, idBody(hot), http.StatusNotFound, "ORDER_NOT_FOUND")
		want := []string{hot, own, written}
		slices.Sort(want)
		slices.Reverse(want)
		if got := g.list(t, "ada"); !slices.Equal(got, want) {
			t.Errorf("ada lists %v; want %v", got, want)
		}
		if got := g.list(t, guestA); len(got) > 0 {
			t.Errorf("the guest still lists %v", got)
		}
		g.want(t, cancelProcedure, "ada", idBody(written), http.StatusOK, "CANCEL_CODE_BY_CUSTOMER")
		if o, err := g.orders.Get(t.Context(), order.ID(written)); err != nil || o.CustomerID != guestA || o.State != order.Cancelled {
			t.Errorf("the row is %s of %s (%v); want it CANCELLED, of the guest still", o.State, o.CustomerID, err)
		}
		operator := g.e.token(t, "op", auth.Operator)
		for _, customer := range []string{"ada", guestA} { // An operator finds it by either.
			if _, _, body := g.e.post(t, listProcedure, operator, fmt.Sprintf(`{"customerId":%q}`, customer)); !strings.Contains(body, written) {
				t.Errorf("an operator's list of %s: %s; want %s", customer, body, written)
			}
		}
	})
}

// TestClaimGuestOrders_TheGuestOrdersNoMore: the retry of an order of before gets it.
func TestClaimGuestOrders_TheGuestOrdersNoMore(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		g := openGuestShop(t, s)
		before := g.placed(t, guestA, "k1", goodCard)
		g.want(t, claimProcedure, "ada", g.claimBody(t, guestA), http.StatusOK, "{}")
		if again := g.placed(t, guestA, "k1", goodCard); again != before {
			t.Errorf("the retry got %s; want %s", again, before)
		}
		_, err := g.checkout.PlaceOrder(as(t.Context(), guestA), placeRequest("k2", goodCard))
		if !isRefusal(err, order.ReasonGuestClaimed) {
			t.Errorf("another order of the guest: %v; want %s", err, order.ReasonGuestClaimed)
		}
		if left := g.left(t); left != 99 {
			t.Errorf("%d units are left; want those of one order taken", left)
		}
	})
}

// TestClaimGuestOrders_OfAGuestOnly checks that neither a token of anyone but a guest of this shop moves orders, nor a call by a guest or of another customer.
func TestClaimGuestOrders_OfAGuestOnly(t *testing.T) {
	g := openGuestShop(t, openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db")))
	for _, customer := range []order.CustomerID{guestA, "eve", "guestling"} {
		g.placed(t, customer, "k1", goodCard)
	}
	g.flush(t)
	expired, _, err := g.e.tokens.Mint(auth.Caller{Customer: guestA}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := auth.NewTokens([]byte(strings.Repeat("x", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := foreign.Mint(auth.Caller{Customer: guestA}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another customer": g.e.token(t, "eve"), "one that looks like a guest": g.e.token(t, "guestling"), "the caller": g.e.token(t, "ada"),
		"an operator": g.e.token(t, guestA, auth.Operator), "expired": expired, "of another shop": forged, "none": "x",
	} {
		if status, _, body := g.e.post(t, claimProcedure, g.e.token(t, "ada"), fmt.Sprintf(`{"guestToken":%q}`, token)); status != http.StatusBadRequest ||
			!strings.Contains(body, "GUEST_TOKEN_INVALID") {
			t.Errorf("%s: status %d, %s; want GUEST_TOKEN_INVALID", name, status, body)
		}
	}
	g.want(t, claimProcedure, "ada", "{}", http.StatusBadRequest, "INVALID_FIELD")
	g.want(t, claimProcedure, guestB, g.claimBody(t, guestA), http.StatusForbidden, "LOGIN_REQUIRED")
	g.want(t, claimProcedure, guestA, g.claimBody(t, guestA), http.StatusForbidden, "LOGIN_REQUIRED")
	if status, _, body := g.e.post(t, claimProcedure, "", g.claimBody(t, guestA)); status != http.StatusUnauthorized {
		t.Errorf("by nobody: status %d, %s", status, body)
	}
	if got := append(g.list(t, "ada"), g.list(t, guestB)...); len(got) > 0 || len(g.list(t, guestA)) != 1 {
		t.Errorf("orders were moved: %v", got)
	}
	g.want(t, claimProcedure, "ada", g.claimBody(t, guestA), http.StatusOK, "{}")
	g.want(t, claimProcedure, "eve", g.claimBody(t, guestA), http.StatusBadRequest, "GUEST_CLAIMED")
	if len(g.list(t, "ada")) != 1 || len(g.list(t, "eve")) != 1 {
		t.Errorf("ada has %v, eve %v; want one each", g.list(t, "ada"), g.list(t, "eve"))
	}
}

// TestClaimGuestOrders_RedisFailsAfterTheClaim: the orders are the customer's, and the repeated call ends the guest's session.
func TestClaimGuestOrders_RedisFailsAfterTheClaim(t *testing.T) {
	g := openGuestShop(t, openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db")))
	id := g.placed(t, guestA, "k1", goodCard)
	g.flush(t)
	g.ender.err = &order.RetryError{After: time.Second, Err: order.ErrUnavailable}
	g.want(t, claimProcedure, "ada", g.claimBody(t, guestA), http.StatusServiceUnavailable, "UNAVAILABLE")
	g.want(t, getProcedure, "ada", idBody(id), http.StatusOK, id)
	late := g.placed(t, guestA, "k2", goodCard)
	g.ender.err = nil
	g.want(t, claimProcedure, "ada", g.claimBody(t, guestA), http.StatusOK, "{}")
	g.flush(t)
	if got := g.list(t, "ada"); len(got) != 2 || got[0] != late {
		t.Errorf("ada lists %v; want %s and %s", got, late, id)
	}
	if _, err := g.checkout.PlaceOrder(as(t.Context(), guestA), placeRequest("k3", goodCard)); !isRefusal(err, order.ReasonGuestClaimed) {
		t.Errorf("another order of the guest: %v; want %s", err, order.ReasonGuestClaimed)
	}
}

// TestClaimGuestOrders_ByOneWhoReadsAll: the roles of operators do not hide that the order is the caller's own, though it has no row yet.
func TestClaimGuestOrders_ByOneWhoReadsAll(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		g := openGuestShop(t, s)
		for _, role := range []auth.Role{auth.OperatorRead, auth.Operator} {
			guest, customer := "guest_of_"+string(role), "ada_"+string(role)
			hot := g.placed(t, order.CustomerID(guest), "k", "")
			token := g.e.token(t, customer, role)
			if status, _, body := g.e.post(t, claimProcedure, token, g.claimBody(t, guest)); status != http.StatusOK {
				t.Fatalf("claim: %d %s", status, body)
			}
			if status, _, body := g.e.post(t, cancelProcedure, token, idBody(hot)); status != http.StatusOK || !strings.Contains(body, "CANCEL_CODE_BY_CUSTOMER") {
				t.Errorf("a customer with the role %s: %d %s; want it cancelled by the customer", role, status, body)
			}
		}
	})
}

// noClaims cannot be read.
type noClaims struct{}

func (noClaims) ClaimedBy(context.Context, order.CustomerID) (order.CustomerID, error) {
	return "", order.ErrUnavailable
}

// TestReadToChange_WithoutTheClaims: whether a guest's orders are still the guest's is not known, so that the guest changes none; others need no claims.
func TestReadToChange_WithoutTheClaims(t *testing.T) {
	of := map[order.CustomerID]order.Order{}
	rows := stubRows{}
	for _, customer := range []order.CustomerID{guestA, "ada"} {
		of[customer] = orderOf(customer, order.Pending, 0)
		rows.orders = append(rows.orders, of[customer])
	}
	reader := OrderReader{Hot: stubHotOrders{}, Rows: rows, Claims: noClaims{}, Log: discardLog}
	if o, err := reader.ReadToChange(as(t.Context(), guestA), string(of[guestA].ID)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the guest may change %s (%v); want ErrUnavailable", o.ID, err)
	}
	for _, ctx := range []context.Context{as(t.Context(), "ada"), as(t.Context(), "op", auth.Operator)} {
		if _, err := reader.ReadToChange(ctx, string(of["ada"].ID)); err != nil {
			t.Errorf("an order of a customer with an account: %v", err)
		}
	}
	if _, err := reader.ReadToChange(as(t.Context(), "op", auth.Operator), string(of[guestA].ID)); err != nil {
		t.Errorf("an operator: %v", err)
	}
}
