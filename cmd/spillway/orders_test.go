package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// startShop runs a shop on embedded storage in this process. Its workers process nothing but the journal, so that orders stay PAID.
func startShop(t *testing.T) (url, dataDir string) {
	t.Helper()
	cfg := app.DefaultConfig(app.RoleAll)
	cfg.SQL.DataDir, cfg.HTTP.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Workers = []string{"stock-flusher", "refund-retrier"}
	a, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return a.URL(), cfg.SQL.DataDir
}

func placeOrder(t *testing.T, url string) (id, customer string) {
	t.Helper()
	session, err := spillwayv1connect.NewSessionServiceClient(http.DefaultClient, url).
		StartGuestSession(t.Context(), &spillwayv1.StartGuestSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+session.GetToken())
	placed, err := spillwayv1connect.NewCheckoutServiceClient(http.DefaultClient, url).PlaceOrder(ctx, &spillwayv1.PlaceOrderRequest{
		Lines: []*spillwayv1.Line{{Sku: "OLJCESPC7Z", Quantity: 2}}, CurrencyCode: "EUR", Email: "a@example.com", IdempotencyKey: "one-order",
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: "4242424242424242", Cvv: "123", ExpiryYear: int32(time.Now().Year() + 1), ExpiryMonth: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return placed.GetOrder().GetId(), placed.GetOrder().GetCustomerId()
}

func TestOrders_ListShowRefundCancel(t *testing.T) {
	emptyEnvironment(t)
	url, dataDir := startShop(t)
	id, customer := placeOrder(t, url)
	t.Setenv("SPILLWAY_URL", url)
	t.Setenv("SPILLWAY_DATA_DIR", dataDir)
	must := func(args ...string) string {
		t.Helper()
		stdout, stderr, status := spillway(t, append([]string{"orders"}, args...)...)
		if status != exitOK {
			t.Fatalf("orders %v: exit status %d: %s", args, status, stderr)
		}
		return stdout
	}

	for name, args := range map[string][]string{"all": {"list"}, "the customer's": {"list", "--customer", customer}, "paid": {"list", "--state", "paid", "--state", "shipped"}} {
		if out := must(args...); !strings.Contains(out, id) || !strings.Contains(out, "paid") || !strings.Contains(out, "EUR ") {
			t.Errorf("%s:\n%s", name, out)
		}
	}
	if out := must("list", "--state", "shipped"); out != "no orders\n" {
		t.Errorf("shipped:\n%s", out)
	}
	if out := must("show", id); !strings.Contains(out, customer) || !strings.Contains(out, "OLJCESPC7Z") {
		t.Errorf("show:\n%s", out)
	}
	var listed struct {
		Orders []struct {
			ID         string `json:"id"`
			CustomerID string `json:"customer_id"`
			State      string `json:"state"`
		} `json:"orders"`
	}
	if err := json.Unmarshal([]byte(must("list", "-o", "json")), &listed); err != nil || len(listed.Orders) != 1 ||
		listed.Orders[0].ID != id || listed.Orders[0].CustomerID != customer || listed.Orders[0].State != "ORDER_STATE_PAID" {
		t.Errorf("list -o json: %+v, %v", listed, err)
	}

	refund := []string{"refund", id, "--amount", "1.50", "--reason", "scratched", "--idempotency-key", "once"}
	for range 2 { // The second is the first, sent again.
		if out := must(refund...); !strings.Contains(out, "EUR 1.50") {
			t.Errorf("refund:\n%s", out)
		}
	}
	stdout, stderr, status := spillway(t, "orders", "refund", id, "--amount", "100000", "--reason", "too much")
	if status != exitFailure || !strings.Contains(stderr, "--idempotency-key cli-") {
		t.Errorf("a refund of more than the total: exit status %d: %s%s", status, stdout, stderr)
	}
	if out := must("cancel", id, "--reason", "out of glue"); !strings.Contains(out, "cancelled") || !strings.Contains(out, "out of glue") {
		t.Errorf("cancel:\n%s", out)
	}
}

func TestOrders_UnknownOrder(t *testing.T) {
	emptyEnvironment(t)
	url, dataDir := startShop(t)
	if _, stderr, status := spillway(t, "orders", "show", "x", "--url", url, "--data-dir", dataDir); status != exitFailure ||
		!strings.Contains(stderr, "no order") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestParseAmount(t *testing.T) {
	for text, want := range map[string]*spillwayv1.Money{
		"12": {Units: 12}, "12.5": {Units: 12, Nanos: 500_000_000}, "0.01": {Nanos: 10_000_000}, "1.000000001": {Units: 1, Nanos: 1},
		"": nil, "0": nil, "0.00": nil, "-1": nil, "1,50": nil, ".5": nil, "1.": nil, "1e3": nil, "EUR 1": nil, "1.0000000001": nil, "9999999999999999": nil,
	} {
		got, err := parseAmount(text)
		if (err == nil) != (want != nil) || got.GetUnits() != want.GetUnits() || got.GetNanos() != want.GetNanos() {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}
