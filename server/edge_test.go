package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
)

// drainTimeout is how long a test's server may take to stop.
const drainTimeout = 15 * time.Second

// logBuffer is a log that many goroutines write and a test reads.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *logBuffer) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *logBuffer) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// edgeFixture is the real port with services of the test's choice behind it.
type edgeFixture struct {
	url    string
	tokens *auth.Tokens
	log    *logBuffer
	client *http.Client
}

// startServer serves the services as the program does, on a free port, until the test ends.
func startServer(t *testing.T, s Services, change ...func(*Config)) *edgeFixture {
	t.Helper()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	e := &edgeFixture{tokens: tokens, log: &logBuffer{}, client: &http.Client{Transport: &http.Transport{}}}
	cfg := Config{Tokens: tokens, Log: slog.New(requestid.NewLogHandler(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})))}
	for _, c := range change {
		c(&cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.url = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, NewHandler(cfg, s), drainTimeout, cfg.Log) }()
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		stop()
		if err := await(t, "the server to stop", done); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return e
}

// token is a bearer token for the customer.
func (e *edgeFixture) token(t *testing.T, customer string, roles ...auth.Role) string {
	t.Helper()
	token, _, err := e.tokens.Mint(auth.Caller{Customer: order.CustomerID(customer), Roles: roles}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// post sends a body as curl does, and returns the status and the answer.
func (e *edgeFixture) post(t *testing.T, procedure, token, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+procedure, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return e.do(t, req)
}

func (e *edgeFixture) do(t *testing.T, req *http.Request) (int, http.Header, string) {
	t.Helper()
	resp, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(answer)
}

// fakeCheckout is a CheckoutService with the function as PlaceOrder.
type fakeCheckout struct {
	spillwayv1connect.UnimplementedCheckoutServiceHandler
	place func(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error)
}

func (c fakeCheckout) PlaceOrder(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	return c.place(ctx, req)
}

var errNotCalled = errors.New("the handler must not be called")

// allServices serves every procedure with something other than an error of the edge.
func allServices(t *testing.T) Services {
	t.Helper()
	rates, err := currency.New(currency.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return Services{
		Session:  spillwayv1connect.UnimplementedSessionServiceHandler{},
		Catalog:  spillwayv1connect.UnimplementedCatalogServiceHandler{},
		Cart:     spillwayv1connect.UnimplementedCartServiceHandler{},
		Currency: Currency{Rates: rates},
		Checkout: spillwayv1connect.UnimplementedCheckoutServiceHandler{},
		Order:    spillwayv1connect.UnimplementedOrderServiceHandler{},
		Shipping: spillwayv1connect.UnimplementedShippingServiceHandler{},

		DeadLetters: spillwayv1connect.UnimplementedDeadLetterServiceHandler{},
		Audit:       spillwayv1connect.UnimplementedAuditServiceHandler{},
		Ops:         spillwayv1connect.UnimplementedOpsServiceHandler{},
	}
}

// failsWith is a PlaceOrder that always fails with err.
func failsWith(err error) func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	return func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, err
	}
}
