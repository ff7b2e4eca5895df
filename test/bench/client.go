package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// callTimeout is the maximum duration of one call. An order takes milliseconds; more than the 15 s within which the
	// server completes an order would hide a hang.
	callTimeout = 10 * time.Second
	// bodyStride is the step from one body to the next of a client: a prime, so that no number of bodies is a multiple of it and each body
	// is used.
	bodyStride = 7919
)

// shopper is one client that calls one procedure over one HTTP/1.1 connection. It replaces net/http's client because it
// shares the cores with the measured server: a client as expensive as the server would halve every number.
type shopper struct {
	addr, path string
	tokens     []string
	name       string   // prefix of the idempotency keys
	bodies     []string // requests, by turns
	// verdict returns the code of a response, which is empty if it is the expected one.
	verdict func(status int, response []byte) string
	// next counts the calls of all clients together: the next call takes the next customer, so that no two calls in progress are of one.
	next  *atomic.Int64
	calls int // number of the last call among those of all clients
	conn  net.Conn
	in    *bufio.Reader
	buf   []byte
	stop  func() bool
}

// call sends the next request with a new idempotency key, and returns the code of its response.
func (s *shopper) call(ctx context.Context) (code string) {
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return "no_connection"
		}
	}
	s.calls = int(s.next.Add(1))
	status, response, err := s.post()
	if err != nil {
		s.close()
		return codeNoResponse
	}
	return s.verdict(status, response)
}

func (s *shopper) dial(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	s.conn, s.in = conn, bufio.NewReader(conn)
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return nil
}

func (s *shopper) close() {
	if s.conn != nil {
		s.stop()
		_ = s.conn.Close()
		s.conn = nil
	}
}

// post sends one request and reads the response, which is valid until the next call.
func (s *shopper) post() (status int, response []byte, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, nil, err
	}
	body := s.bodies[s.calls*bodyStride%len(s.bodies)]
	b := s.buf[:0]
	b = append(b, "POST "...)
	b = append(b, s.path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, s.addr...)
	b = append(b, "\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	b = append(b, s.tokens[s.calls%len(s.tokens)]...)
	b = append(b, "\r\nIdempotency-Key: "...)
	b = append(b, s.name...)
	b = strconv.AppendInt(b, int64(s.calls), 10)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(b, body...)
	s.buf = b
	if _, err := s.conn.Write(s.buf); err != nil {
		return 0, nil, err
	}
	status, s.buf, err = readResponse(s.in, s.buf)
	return status, s.buf, err
}

// errorCode returns the Connect code of the response, or its HTTP status.
func errorCode(status int, response []byte) string {
	var e struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(response, &e); err != nil || e.Code == "" {
		return "http_" + strconv.Itoa(status)
	}
	return e.Code
}
