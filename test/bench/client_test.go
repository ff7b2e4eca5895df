package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestErrorCode_Responses(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]string{`{"code":"resource_exhausted"}`: "resource_exhausted", `{}`: "http_503", "<html>": "http_503"} {
		if got := errorCode(503, []byte(response)); got != want {
			t.Errorf("%s: %s, want %s", response, got, want)
		}
	}
}

// TestShopper_Responses covers a response of each kind on one connection, and the end of the connection.
func TestShopper_Responses(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan string, 1)
	go func() {
		served <- respondAll(l, `{"order":{"state":"ORDER_STATE_PAID"}}`, `{"order":{"state":"ORDER_STATE_PENDING"}}`)
	}()
	s := shoppers(l.Addr().String(), []string{"t1", "t2"}, oneLine("A"))(0)
	for _, want := range []string{"", codeNotPaid, codeNoResponse} {
		if got := s.call(t.Context()); got != want {
			t.Errorf("the call's code is %q, want %q", got, want)
		}
	}
	s.close()
	keys := strings.Fields(<-served)
	if len(keys) != 2 || keys[0] == keys[1] || !strings.HasSuffix(keys[0], "-0-1") || !strings.HasSuffix(keys[1], "-0-2") {
		t.Errorf("the idempotency keys were %q", keys)
	}
}

func TestShoppers_DifferentKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for range 2 {
		s, ok := shoppers("", nil, nil)(1).(*shopper)
		if !ok || keys[s.name] {
			t.Errorf("two loads have the same idempotency keys: %v", keys)
		}
		keys[s.name] = true
	}
}

func TestVerdicts_Responses(t *testing.T) {
	t.Parallel()
	const paidOrder, soldOut = `{"order":{"state":"ORDER_STATE_PAID"}}`, `{"code":"failed_precondition","details":[{"type":"spillway.v1.SoldOut"}]}`
	for _, c := range []struct {
		name    string
		verdict func(int, []byte) string
		status  int
		body    string
		want    string
	}{
		{"paid", placed, 200, paidOrder, ""},
		{"pending", placed, 200, `{}`, codeNotPaid},
		{"overloaded", placed, 429, `{"code":"resource_exhausted"}`, "resource_exhausted"},
		{"sold out", refusedSoldOut, 400, soldOut, ""},
		{"not yet sold out", refusedSoldOut, 200, paidOrder, codePlaced},
		{"another refusal", refusedSoldOut, 400, `{"code":"failed_precondition"}`, "failed_precondition"},
		{"any response", succeeded, 200, `{}`, ""},
		{"an error", succeeded, 503, `{"code":"unavailable"}`, "unavailable"},
	} {
		if got := c.verdict(c.status, []byte(c.body)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCart_Requests(t *testing.T) {
	t.Parallel()
	for _, card := range []bool{true, false} {
		var req struct {
			Lines []struct {
				SKU      string
				Quantity int
			}
			Card *struct{ Number string }
		}
		if err := json.Unmarshal([]byte(cart([]string{"A", "B"}, card)), &req); err != nil {
			t.Fatal(err)
		}
		if len(req.Lines) != 2 || req.Lines[1].SKU != "B" || req.Lines[1].Quantity != 1 || (req.Card != nil) != card {
			t.Errorf("card %v: %+v", card, req)
		}
	}
}

// respondAll responds to one request with each of the bodies and closes; it returns the idempotency keys.
func respondAll(l net.Listener, bodies ...string) (keys string) {
	conn, err := l.Accept()
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, body := range bodies {
		key, err := readRequest(in)
		if err != nil {
			return err.Error()
		}
		keys += key + " "
		if _, err := conn.Write([]byte(okHead(len(body)) + body)); err != nil {
			return err.Error()
		}
	}
	return keys
}

func okHead(length int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
}

// readRequest reads one request as a server does, and returns its idempotency key.
func readRequest(in *bufio.Reader) (string, error) {
	req, err := http.ReadRequest(in)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, req.Body)
	return req.Header.Get("Idempotency-Key"), err
}
