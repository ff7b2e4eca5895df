package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listen listens on a free port of 127.0.0.1.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveOn serves the handler on the listener until the test ends. The server may be changed before.
func serveOn(t *testing.T, l net.Listener, h http.Handler, change ...func(*http.Server)) (url string) {
	t.Helper()
	srv := newHTTPServer(h, discardLog)
	for _, c := range change {
		c(srv)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := await(t, "the server to end", served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// dialFrom connects from a loopback address and sends the text. The connection is closed when the test ends.
func dialFrom(t *testing.T, from, to, text string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(watchWait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

const halfRequest = "POST " + placeProcedure + " HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"

// TestLimitConns_OneAddressCannotTakeAll: half-sent requests of one address fill its share of the connections. Another one buys.
func TestLimitConns_OneAddressCannotTakeAll(t *testing.T) {
	inner := listen(t)
	l := LimitConns(inner, NewConnLimits(8, nil), discardLog)
	url := serveOn(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "sold")
	}))
	var flood []net.Conn
	for range 20 {
		flood = append(flood, dialFrom(t, "127.0.0.2", inner.Addr().String(), "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n{"))
	}
	for _, c := range flood[2:] { // 8/4 of them are kept.
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a connection beyond the share of its address is open: %v", err)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 10 {
		resp, err := client.Post(url, "text/plain", strings.NewReader("buy"))
		if err != nil {
			t.Fatalf("a buyer from another address: %v", err)
		}
		_ = resp.Body.Close()
	}
	if _, err := io.WriteString(flood[0], "12345678"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(flood[0]), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a connection within the share: %v", err)
	}
	_ = resp.Body.Close()
}

// TestLimitConns_BeyondAllWaits: a connection beyond all of them is accepted once another one has ended, and not before.
func TestLimitConns_BeyondAllWaits(t *testing.T) {
	l := LimitConns(listen(t), ConnLimits{All: 1, PerAddress: 1}, discardLog)
	accepted := make(chan net.Conn)
	done := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			accepted <- c
		}
	}()
	dialFrom(t, "127.0.0.1", l.Addr().String(), "")
	first := await(t, "the first connection", accepted)
	dialFrom(t, "127.0.0.2", l.Addr().String(), "")
	select {
	case <-accepted:
		t.Fatal("two connections are open")
	case <-time.After(20 * time.Millisecond): // Accepting takes microseconds.
	}
	_ = first.Close()
	_ = first.Close() // The second time must not free another slot.
	second := await(t, "the second connection", accepted)
	_ = l.Close()
	if err := await(t, "the listener's end", done); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_ = second.Close()
}
