package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

const (
	// testTimeout bounds what takes a second on an idle machine.
	testTimeout  = 2 * time.Minute
	testInterval = 20 * time.Millisecond
	goodCard     = "4242424242424242"
)

// embedded is the configuration of a shop on embedded storage in a directory of the test.
func embedded(t testing.TB) app.Config {
	t.Helper()
	cfg := app.DefaultConfig(app.RoleAll)
	cfg.SQL.DataDir = t.TempDir()
	cfg.HTTP.Listen = "127.0.0.1:0"
	return cfg
}

// start opens and runs a shop. The function that it returns ends it as a signal does, and returns the errors of Run and Close.
func start(t *testing.T, cfg app.Config, log *slog.Logger) (*app.App, func() error) {
	t.Helper()
	a, err := app.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var stopped bool
	stop := func() error {
		stopped = true
		cancel()
		return errors.Join(<-ended, a.Close())
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop() // The test has failed before.
		}
	})
	return a, stop
}

// authorized sends a bearer token with each call.
func authorized(ctx context.Context, token string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

func placeOrder(t testing.TB, url string) (ctx context.Context, id string) {
	t.Helper()
	return placeOrderWith(t, url, "key-of-"+t.Name())
}

// placeOrderWith places an order of a new customer with the idempotency key.
func placeOrderWith(t testing.TB, url, key string) (ctx context.Context, id string) {
	t.Helper()
	session, err := spillwayv1connect.NewSessionServiceClient(http.DefaultClient, url).
		StartGuestSession(t.Context(), &spillwayv1.StartGuestSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	placed, err := spillwayv1connect.NewCheckoutServiceClient(http.DefaultClient, url).
		PlaceOrder(authorized(t.Context(), session.GetToken()), &spillwayv1.PlaceOrderRequest{
			Lines: []*spillwayv1.Line{{Sku: "OLJCESPC7Z", Quantity: 1}}, CurrencyCode: "EUR", Email: "a@example.com", IdempotencyKey: key,
			ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
			Card:            &spillwayv1.Card{Number: goodCard, Cvv: "123", ExpiryYear: int32(time.Now().Year() + 1), ExpiryMonth: 1},
		})
	if err != nil {
		t.Fatal(err)
	}
	return authorized(t.Context(), session.GetToken()), placed.GetOrder().GetId()
}

func waitForState(ctx context.Context, t *testing.T, url, id string, want spillwayv1.OrderState) {
	t.Helper()
	orders := spillwayv1connect.NewOrderServiceClient(http.DefaultClient, url)
	for deadline := time.Now().Add(testTimeout); ; {
		got, err := orders.GetOrder(ctx, &spillwayv1.GetOrderRequest{OrderId: id})
		if err == nil && got.GetOrder().GetState() == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("order %s: %v, %v; want %v", id, got.GetOrder().GetState(), err, want)
		}
		<-time.After(testInterval)
	}
}

func TestApp_PlacedOrderIsShipped(t *testing.T) {
	var log bytes.Buffer
	cfg := embedded(t)
	a, stop := start(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, id := placeOrder(t, a.URL())
	waitForState(ctx, t, a.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)

	if err := stop(); err != nil {
		t.Fatalf("shut down: %v; log:\n%s", err, &log)
	}
	if !strings.Contains(log.String(), "shipped or cancelled; no mail is due") {
		t.Errorf("the shutdown left something to do; log:\n%s", &log)
	}
	for _, phase := range []string{"requests under way", "iterations of workers", "empty the journal and the queue"} {
		if !regexp.MustCompile("shutting down: waiting for .*" + phase + ".* deadline=").MatchString(log.String()) {
			t.Errorf("the shutdown did not log that it waits for %s, with a deadline; log:\n%s", phase, &log)
		}
	}
	if _, err := http.Get(a.URL() + "/livez"); err == nil {
		t.Error("the port is open after the shutdown")
	}
}

func TestApp_ShutdownFinishesThePlacedOrder(t *testing.T) {
	cfg := embedded(t)
	log := slog.New(slog.DiscardHandler)
	a, stop := start(t, cfg, log)
	ctx, id := placeOrder(t, a.URL())
	if err := stop(); err != nil {
		t.Fatalf("shut down: %v", err)
	}

	// The next process continues with the same data directory and key. The order's state is in SQL: no worker has run yet.
	cfg.Workers = []string{"payment-reconciler"}
	again, stopAgain := start(t, cfg, log)
	waitForState(ctx, t, again.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	if err := stopAgain(); err != nil {
		t.Errorf("shut down: %v", err)
	}
}

func TestOpen_SecondProcessOnOneDataDirectory(t *testing.T) {
	cfg := embedded(t)
	_, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	if a, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another `spillway all` is running") {
		t.Errorf("Open on a data directory in use: %v, %v", a, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestOpen_FailureReleasesEverything: a process that could not start leaves neither the port nor the lock taken.
func TestOpen_FailureReleasesEverything(t *testing.T) {
	cfg := embedded(t)
	broken := cfg
	broken.External.Rates.File = filepath.Join(t.TempDir(), "no-such-file.csv")
	if _, err := app.Open(t.Context(), broken, slog.New(slog.DiscardHandler)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Open without the rates' file: %v", err)
	}
	a, err := app.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open after one that failed: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("Close without Run: %v", err)
	}
}
