package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
)

func TestPatience_TinyDeadlineIsRefusedBeforeAnyWork(t *testing.T) {
	served := false
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		served = true
		return &spillwayv1.PlaceOrderResponse{}, nil
	}}})
	for timeout, code := range map[string]string{"1": "deadline_exceeded", "4": "deadline_exceeded", "5000": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/spillway.v1.CheckoutService/PlaceOrder", strings.NewReader(
			`{"lines":[{"sku":"A","quantity":1}],"currencyCode":"EUR","email":"a@example.com","idempotencyKey":"k",`+
				`"shippingAddress":{"name":"A","street":"S","city":"B","postalCode":"1","countryCode":"DE"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+e.token(t, "c"))
		req.Header.Set("Connect-Timeout-Ms", timeout)
		resp, err := e.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), code) {
			t.Errorf("with %s ms: %s (%v); want %q", timeout, body, err, code)
		}
		if served != (code == "") {
			t.Errorf("with %s ms: served %v", timeout, served)
		}
		served = false
	}
}

// fakeUntouchedStock fails the test when anything is reserved.
type fakeUntouchedStock struct {
	Reserver
	t *testing.T
}

func (s fakeUntouchedStock) Reserve(context.Context, stock.Request) (stock.Reservation, error) {
	s.t.Error("stock was reserved for a caller that is gone when it is answered")
	return stock.Reservation{}, nil
}

func TestCheckout_NothingIsReservedShortlyBeforeTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), minRemaining/2)
	defer cancel()
	c := &Checkout{Stock: fakeUntouchedStock{t: t}}
	if _, err := c.reserve(ctx, draft{Order: order.Order{ID: order.NewID(0, time.Now())}}, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v; want DeadlineExceeded", err)
	}
}
