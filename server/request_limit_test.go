package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// h2cFrom is a client of HTTP/2 without TLS from a loopback address.
func h2cFrom(t *testing.T, from string) *http.Client {
	t.Helper()
	client := h2cClient(t)
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is a %T", client.Transport)
	}
	transport.DialContext = dialerFrom(from)
	return client
}

func dialerFrom(address string) func(ctx context.Context, network, to string) (net.Conn, error) {
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext
}

// sells takes each order.
var sells = fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	return &spillwayv1.PlaceOrderResponse{}, nil
}}

// halfSend begins a call and never ends its body. The channel gets the reason with which it is refused.
func halfSend(t *testing.T, client *http.Client, url string, refused chan<- string) (end func()) {
	t.Helper()
	body, half := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+placeProcedure, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			return // The test is over.
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		refused <- resp.Header.Get("Retry-After") + " " + string(text)
	}()
	return func() { _ = half.CloseWithError(io.ErrUnexpectedEOF) }
}

// TestLimitRequests_StreamsOfOneAddress: one connection of HTTP/2 carries 250 half-sent requests, so that the bound of connections is none for them. Those
// of one address have a share, beyond which they are refused at once. Another address buys, with either protocol.
func TestLimitRequests_StreamsOfOneAddress(t *testing.T) {
	const share, sent = 5, 30
	l := LimitConns(listen(t), ConnLimits{All: 4 * sent, PerAddress: sent, Requests: 4 * share, RequestsPerAddress: share}, discardLog)
	e := startServer(t, Services{Checkout: sells})
	url := serveOn(t, l, limitRequests(l, NewHandler(Config{Tokens: e.tokens, Log: discardLog}, Services{Checkout: sells})))

	attacker, refused := h2cFrom(t, "127.0.0.2"), make(chan string, sent)
	var ends []func()
	for range sent {
		ends = append(ends, halfSend(t, attacker, url, refused))
	}
	for range sent - share {
		if text := await(t, "a refusal", refused); !strings.Contains(text, "TOO_MANY_CALLS") || !strings.HasPrefix(text, "1 ") {
			t.Fatalf("a request beyond the share: %s", text)
		}
	}
	for protocol, buyer := range map[string]*http.Client{"HTTP/1.1": e.client, "HTTP/2": h2cFrom(t, "127.0.0.3")} {
		e.url, e.client = url, buyer
		if status, _, body := e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", "a@example.com")); status != http.StatusOK {
			t.Errorf("a buyer from another address over %s: %d %s", protocol, status, body)
		}
	}
	select {
	case text := <-refused:
		t.Errorf("a request within the share was refused: %s", text)
	default:
	}
	for _, end := range ends {
		end()
	}
	e.client = attacker
	eventually(t, "the address to be served again", func() bool {
		status, _, _ := e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", "a@example.com"))
		return status == http.StatusOK
	})
}

// TestLimitRequests_All: beyond the requests of all addresses another one is refused. A connection of HTTP/1.1 has one request at a time, and is bounded itself.
func TestLimitRequests_All(t *testing.T) {
	l := LimitConns(listen(t), ConnLimits{All: 8, PerAddress: 8, Requests: 2, RequestsPerAddress: 2}, discardLog)
	e := startServer(t, Services{Checkout: sells})
	url := serveOn(t, l, limitRequests(l, NewHandler(Config{Tokens: e.tokens, Log: discardLog}, Services{Checkout: sells})))
	refused := make(chan string, 3)
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		t.Cleanup(halfSend(t, h2cFrom(t, from), url, refused))
	}
	if text := await(t, "a refusal", refused); !strings.Contains(text, "TOO_MANY_CALLS") {
		t.Errorf("a request beyond all: %s", text)
	}
	e.url = url
	if status, _, body := e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", "a@example.com")); status != http.StatusOK {
		t.Errorf("over HTTP/1.1: %d %s", status, body)
	}
}

// TestLimitRequests_LargeBodies: the half-sent large bodies of one address have a share. Beyond it they are refused, while small ones and those of
// another address are served.
func TestLimitRequests_LargeBodies(t *testing.T) {
	const share = 3
	limits := NewConnLimits(99, nil)
	limits.LargeBodies, limits.LargeBodiesPerAddress = 2*share, share
	l := LimitConns(listen(t), limits, discardLog)
	e := startServer(t, Services{Checkout: sells})
	e.url = serveOn(t, l, limitRequests(l, NewHandler(Config{Tokens: e.tokens, Log: discardLog}, Services{Checkout: sells})))
	large := strings.Repeat(" ", smallBodyBytes)
	half := strings.Replace(halfRequest, "Content-Length: 100", fmt.Sprint("Content-Length: ", maxBodyBytes), 1) + large
	var held []net.Conn
	for range share {
		held = append(held, dialFrom(t, "127.0.0.2", l.Addr().String(), half))
	}
	place := func(from, spaces string) (int, string) {
		e.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialerFrom(from)}}
		status, _, text := e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", "a@example.com")+spaces)
		return status, text
	}
	eventually(t, "the share to be taken", func() bool {
		status, text := place("127.0.0.2", large)
		return status == http.StatusTooManyRequests && strings.Contains(text, "TOO_MANY_CALLS")
	})
	for name, c := range map[string]struct{ from, spaces string }{"a small one": {"127.0.0.2", ""}, "another address": {"127.0.0.3", large}} {
		if status, text := place(c.from, c.spaces); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	_ = held[0].Close()
	eventually(t, "the address to be served again", func() bool {
		status, _ := place("127.0.0.2", large)
		return status == http.StatusOK
	})
}
