package server

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const flooder = "198.51.100.1"

// spentServer is a server on which an address has made all reads that it may make within a minute. refused returns what was refused before the interceptors.
func spentServer(t *testing.T) (e *edgeFixture, rates *CallRates, refused func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	rates = NewCallRates(CallRateConfig{AddressReads: 1, AddressWrites: 1, Log: discardLog})
	e = startServer(t, allServices(t), limitedRates(rates), func(c *Config) {
		c.Refused = func(_ context.Context, procedure string, err error) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, procedure+" "+resultOf(err))
		}
	})
	if status, _, body := e.post(t, listProducts, "", "{}", forwardedHeader, flooder); status == http.StatusTooManyRequests {
		t.Fatal(body)
	}
	return e, rates, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// TestCallRates_RefusedBeforeTheBody: a call from an address that made too many is refused when its headers are there. Over HTTP/1.1 the response comes after the body,
// because of net/http.
func TestCallRates_RefusedBeforeTheBody(t *testing.T) {
	e, rates, refused := spentServer(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: shop\r\n%s: %s\r\n", listProducts, forwardedHeader, flooder)
	fmt.Fprint(conn, "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n")
	for deadline := time.Now().Add(bodyTimeout / 2); len(refused()) == 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("without a body it is not refused")
		}
	}
	fmt.Fprint(conn, "{}")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || resp.Close {
		t.Errorf("%s %v; want 429, a delay and a connection that stays", resp.Status, resp.Header)
	}
	if got := rates.Refused()[order.LimitAddressReads]; got != 1 {
		t.Errorf("%d refusals are counted; want 1", got)
	}
	if got := refused(); !slices.Equal(got, []string{listProducts + " LIMIT_EXCEEDED"}) {
		t.Errorf("refused before the interceptors: %v", got)
	}
}

// TestCallRates_EarlyAndLateRefusal compares the refusal before the body is read with that of the interceptor, which a request with an escape in its path gets.
func TestCallRates_EarlyAndLateRefusal(t *testing.T) {
	e, rates, refused := spentServer(t)
	early, header, body := e.post(t, listProducts, "", "{}", forwardedHeader, flooder)
	late, lateHeader, lateBody := e.post(t, strings.Replace(listProducts, "ListProducts", "List%50roducts", 1), "", "{}", forwardedHeader, flooder)
	if early != http.StatusTooManyRequests || late != early || header.Get("Content-Type") != lateHeader.Get("Content-Type") ||
		header.Get("Retry-After") == "" || lateHeader.Get("Retry-After") == "" {
		t.Errorf("refused early with %d %v, and late with %d %v", early, header, late, lateHeader)
	}
	for _, text := range []string{body, lateBody} {
		reason, delay := retryOf(t, text)
		if reason != string(order.ReasonLimitExceeded) || delay <= 0 || delay > time.Minute ||
			!strings.Contains(text, `"message":"too many calls came from your address`) {
			t.Errorf("%s: reason %s, retry after %s", text, reason, delay)
		}
	}
	if got := rates.Refused()[order.LimitAddressReads]; got != 2 || len(refused()) != 1 {
		t.Errorf("%d refusals are counted, and %v before the interceptors; want 2 and 1", got, refused())
	}
}

// TestCallRates_EarlyRefusalOverGRPC: a gRPC client gets the error in its protocol, also for a stream.
func TestCallRates_EarlyRefusalOverGRPC(t *testing.T) {
	e, _, refused := spentServer(t)
	from := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set(forwardedHeader, flooder)
			return next(ctx, req)
		}
	}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	_, err := spillwayv1connect.NewCatalogServiceClient(client, e.url, connect.WithGRPC(), from).ListProducts(t.Context(), &spillwayv1.ListProductsRequest{})
	if connect.CodeOf(err) != connect.CodeResourceExhausted || len(refused()) != 1 {
		t.Errorf("%v, refused before the interceptors: %v; want resource_exhausted", err, refused())
	}
}

// TestCallRates_EarlyRefusalSparesOthers: operators, other addresses and calls of the other budget are served while an address has spent its reads.
func TestCallRates_EarlyRefusalSparesOthers(t *testing.T) {
	e, _, refused := spentServer(t)
	for name, c := range map[string]struct{ procedure, token, addr string }{
		"an operator":     {listProducts, e.token(t, "op", auth.Operator), flooder},
		"a service":       {listProducts, e.token(t, "service", auth.Service), flooder},
		"another address": {listProducts, "", "203.0.113.7"},
		"a write":         {addItem, e.token(t, "c"), flooder},
	} {
		if status, _, body := e.post(t, c.procedure, c.token, "{}", forwardedHeader, c.addr); status == http.StatusTooManyRequests {
			t.Errorf("%s: %s", name, body)
		}
	}
	if got := refused(); len(got) != 0 {
		t.Errorf("refused: %v", got)
	}
}

// TestCallRates_RefusedCallersCount: calls without a token that is needed, with one that is not good, and without the role take from the budget of their address. When
// it is spent they are refused before their bodies, as all calls of the address, and other addresses are served.
func TestCallRates_RefusedCallersCount(t *testing.T) {
	const budget = 5
	rates := NewCallRates(CallRateConfig{AddressReads: budget, AddressWrites: budget, Log: discardLog})
	refused := 0
	e := startServer(t, allServices(t), limitedRates(rates), func(c *Config) { c.Refused = func(context.Context, string, error) { refused++ } })
	for name, c := range map[string]struct {
		addr, token string
		want        int
	}{
		"a token that is no good": {"198.51.100.2", "nonsense", http.StatusUnauthorized},
		"no token":                {"198.51.100.3", "", http.StatusUnauthorized},
		"another role":            {"198.51.100.4", e.token(t, "c"), http.StatusForbidden},
	} {
		before := refused
		for i := range budget + 1 {
			status, _, body := e.post(t, spillwayv1connect.CatalogServiceAdjustStockProcedure, c.token, "{}", forwardedHeader, c.addr)
			if i < budget && status != c.want || i == budget && status != http.StatusTooManyRequests {
				t.Errorf("%s, call %d: %d %s", name, i+1, status, body)
			}
		}
		if refused != before+1 {
			t.Errorf("%s: %d calls were refused before their bodies; want 1", name, refused-before)
		}
	}
	if status, _, body := e.post(t, listProducts, "", "{}", forwardedHeader, "203.0.113.7"); status == http.StatusTooManyRequests {
		t.Errorf("another address: %d %s", status, body)
	}
}
