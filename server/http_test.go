package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/grpcreflect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

func TestOrigins_OnlyConfiguredOnes(t *testing.T) {
	const shop, evil = "https://shop.example", "https://evil.example"
	preflight := func(e *edgeFixture, origin string) http.Header {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, e.url+placeProcedure, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		req.Header.Set("Access-Control-Request-Headers", "authorization,connect-protocol-version,content-type,idempotency-key")
		_, h, _ := e.do(t, req)
		return h
	}
	closed := startServer(t, allServices(t))
	if h := preflight(closed, evil); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without configured origins, %s may call: %v", evil, h)
	}
	open := startServer(t, allServices(t), func(c *Config) { c.Origins = []string{shop} })
	if h := preflight(open, shop); h.Get("Access-Control-Allow-Origin") != shop || h.Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("%s may not call: %v", shop, h)
	}
	if h := preflight(open, evil); h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s may call: %v", evil, h)
	}
}

// TestReadyz_ConcurrentCallersShareACheck: it needs no token, so a flood of calls must not take the connections to SQL.
func TestReadyz_ConcurrentCallersShareACheck(t *testing.T) {
	var atOnce, most atomic.Int64
	checks := shareChecks(map[string]func(context.Context) error{"sql": func(context.Context) error {
		most.Store(max(most.Load(), atOnce.Add(1)))
		defer atOnce.Add(-1)
		for range 100 {
			runtime.Gosched() // The others come meanwhile.
		}
		return errors.New("not migrated")
	}})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := checks["sql"](t.Context()); err == nil {
				t.Error("the check's error is lost")
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n != 1 {
		t.Errorf("%d checks at once, want 1", n)
	}
}

func TestReadyz_NamesFailedChecks(t *testing.T) {
	sick := false
	e := startServer(t, allServices(t), func(c *Config) {
		c.Ready = map[string]func(context.Context) error{
			"redis": func(context.Context) error { return nil },
			"sql": func(context.Context) error {
				if sick {
					return errors.New("not migrated")
				}
				return nil
			},
		}
	})
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		status, _, body := e.do(t, req)
		return status, body
	}
	const healthProcedure = "/grpc.health.v1.Health/Check"
	if status, body := get("/readyz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("readyz = %d %s", status, body)
	}
	if _, _, body := e.post(t, healthProcedure, "", "{}"); !strings.Contains(body, `SERVING_STATUS_SERVING`) {
		t.Errorf("health = %s", body)
	}
	sick = true
	if status, body := get("/readyz"); status != http.StatusServiceUnavailable || body != "unavailable\n" {
		t.Errorf("readyz = %d %s", status, body)
	}
	if _, _, body := e.post(t, healthProcedure, "", "{}"); !strings.Contains(body, `STATUS_NOT_SERVING`) {
		t.Errorf("health = %s", body)
	}
	if status, _ := get("/livez"); status != http.StatusOK {
		t.Errorf("livez = %d although the process lives", status)
	}
	if status, body := get("/nowhere"); status != http.StatusNotFound || !strings.Contains(body, "spillway.v1") {
		t.Errorf("an unknown path = %d %s", status, body)
	}
}

func TestReflection_ListsServices(t *testing.T) {
	e := startServer(t, allServices(t), func(c *Config) { c.Reflection = true })
	stream := grpcreflect.NewClient(h2cClient(t), e.url).NewStream(t.Context())
	defer stream.Close() //nolint:errcheck // What was asked for is read by then.
	names, err := stream.ListServices()
	if err != nil || !slices.Contains(names, spillwayv1connect.CheckoutServiceName) {
		t.Errorf("services = %v, %v", names, err)
	}
	files, err := stream.FileContainingSymbol(spillwayv1connect.CheckoutServiceName)
	if err != nil || len(files) == 0 {
		t.Errorf("the schema of %s: %d files, %v", spillwayv1connect.CheckoutServiceName, len(files), err)
	}
}

// TestServe_ShutdownFinishesAcceptedRequests stops the server while an order is under way.
func TestServe_ShutdownFinishesAcceptedRequests(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: "c"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(Config{Tokens: tokens, Log: slog.New(slog.DiscardHandler)}, Services{Checkout: fakeCheckout{
		place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
			close(entered)
			<-leave
			return &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Id: "O"}}, nil
		},
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- Serve(ctx, l, h, drainTimeout, slog.New(slog.DiscardHandler)) }()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := spillwayv1connect.NewCheckoutServiceClient(&http.Client{Transport: tr}, "http://"+l.Addr().String(), bearer(token))
	go func() {
		_, err := client.PlaceOrder(context.Background(), placeOrder())
		answered <- err
	}()
	await(t, "the request to come in", entered)
	stop()
	waitClosed(t, l.Addr().String())
	close(leave)
	if err := await(t, "the answer", answered); err != nil {
		t.Errorf("an accepted request was not answered: %v", err)
	}
	if err := await(t, "the server to stop", served); err != nil {
		t.Errorf("serve: %v", err)
	}
}

// waitClosed returns when no socket listens at the address any more.
func waitClosed(t *testing.T, addr string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(drainTimeout); time.Now().Before(deadline); <-tick.C {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("the server still listens")
}

// TestBoundBody_HealthAndReflection sends too much to what is not one of our services.
func TestBoundBody_HealthAndReflection(t *testing.T) {
	e := startServer(t, allServices(t))
	body := `{"service":"` + strings.Repeat("x", 8*maxBodyBytes) + `"}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/grpc.health.v1.Health/Check", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if status, _, answer := e.do(t, req); status == http.StatusOK || strings.Contains(answer, "xxxx") {
		t.Errorf("health took a body of %d bytes: %d", len(body), status)
	}
}

// TestHandler_CompressesLargeResponses compares responses to a client that accepts gzip.
func TestHandler_CompressesLargeResponses(t *testing.T) {
	name := ""
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Id: "O", CancelReason: name}}, nil
	}}})
	for length, want := range map[int]string{1: "", compressMinBytes: "gzip"} {
		name = strings.Repeat("n", length)
		status, header, body := e.post(t, placeProcedure, e.token(t, "c"), orderBody(), keyHeader, "k", "Accept-Encoding", "gzip")
		if status != http.StatusOK || header.Get("Content-Encoding") != want {
			t.Errorf("a text of %d bytes: %d, Content-Encoding %q; want %q: %.100s", length, status, header.Get("Content-Encoding"), want, body)
		}
	}
}
