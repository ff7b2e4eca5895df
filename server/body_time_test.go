package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// shortBodies gives bodies so little time that a test can wait for it.
func shortBodies(srv *http.Server) { srv.ReadTimeout = 200 * time.Millisecond }

// TestBoundBody_HalfSentIsRefused: a body that stops coming is refused when its time is over, over HTTP/1.1 and HTTP/2.
func TestBoundBody_HalfSentIsRefused(t *testing.T) {
	tokens := startServer(t, Services{Checkout: notCalled})
	l := listen(t)
	url := serveOn(t, l, NewHandler(Config{Tokens: tokens.tokens, Log: discardLog}, Services{Checkout: notCalled}), shortBodies)

	resp := untilResponse(t, func() (*http.Response, error) {
		return http.ReadResponse(bufio.NewReader(dialFrom(t, "127.0.0.1", l.Addr().String(), halfRequest)), nil)
	})
	wantTooSlow(t, resp)
	if !resp.Close {
		t.Error("the connection is kept, with half a request on it")
	}

	client := h2cClient(t)
	wantTooSlow(t, untilResponse(t, func() (*http.Response, error) {
		body, half := io.Pipe()
		t.Cleanup(func() { _ = half.Close() })
		go func() { _, _ = io.WriteString(half, "{") }()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+placeProcedure, body)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		return client.Do(req)
	}))
}

// bodyTries bounds how often a request is sent again because its body, or the response to half of it, came too late on a busy machine.
const bodyTries = 10

// untilResponse sends a request again if the connection is closed without a response: on a busy machine the time of a body may be over before its
// headers are read.
func untilResponse(t *testing.T, send func() (*http.Response, error)) *http.Response {
	t.Helper()
	var err error
	for range bodyTries {
		var resp *http.Response
		if resp, err = send(); err == nil {
			return resp
		}
	}
	t.Fatal(err)
	return nil
}

func wantTooSlow(t *testing.T, resp *http.Response) {
	t.Helper()
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes)) // The server ends the connection.
	if resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(text), "did not arrive") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TestBoundBody_TimeIsForTheBodyAlone: a call may take longer than its body, and its context lives on.
func TestBoundBody_TimeIsForTheBodyAlone(t *testing.T) {
	e := startServer(t, Services{})
	late := fakeCheckout{place: func(ctx context.Context, _ *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(3 * 200 * time.Millisecond): // shortBodies
			return &spillwayv1.PlaceOrderResponse{}, nil
		}
	}}
	e.url = serveOn(t, listen(t), NewHandler(Config{Tokens: e.tokens, Log: discardLog}, Services{Checkout: late}), shortBodies)
	var status int
	var body string
	for range bodyTries { // On a busy machine a body does not always arrive in its time, and that is refused.
		status, _, body = e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", "a@example.com"))
		if !strings.Contains(body, "did not arrive") {
			break
		}
	}
	if status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}

// TestBoundBody_LargeBodiesAreNotReadToTheEnd sends 50 MB to paths of each kind, with and without a Content-Length.
func TestBoundBody_LargeBodiesAreNotReadToTheEnd(t *testing.T) {
	const sent, mostRead = 50 << 20, 3 << 20
	e := startServer(t, allServices(t))
	l := &countingListener{Listener: listen(t)}
	url := serveOn(t, l, NewHandler(Config{Tokens: e.tokens, Log: discardLog}, allServices(t)))
	for _, path := range []string{placeProcedure, "/nowhere", "/livez", "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"} {
		for protocol, client := range map[string]*http.Client{"HTTP/1.1": e.client, "HTTP/2": h2cClient(t)} {
			for name, length := range map[string]int64{"announced": sent, "in chunks": -1} {
				l.read.Store(0)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, io.LimitReader(zeros{}, sent))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = length
				req.Header.Set("Content-Type", "application/json")
				if resp, err := client.Do(req); err == nil { // HTTP/1.1 may see the connection closed instead.
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				if n := l.read.Load(); n > mostRead {
					t.Errorf("%s over %s, %s: %d bytes were read; want at most %d", path, protocol, name, n, mostRead)
				}
			}
		}
	}
}

// zeros is an endless body.
type zeros struct{}

// Read returns zeros.
func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// countingListener counts the bytes that its connections read.
type countingListener struct {
	net.Listener

	read atomic.Int64
}

// Accept returns a connection that counts.
func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{Conn: c, read: &l.read}, err
}

type countingConn struct {
	net.Conn

	read *atomic.Int64
}

// Read counts.
func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}
