package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	// callTimeout bounds one call: longer than the 15 s within which the server finishes an order would hide a hang, and an
	// order takes milliseconds.
	callTimeout = 10 * time.Second
	// answerMax bounds the body of one answer, in bytes; an order has about 1,000.
	answerMax = 64 << 10
	// placeOrder is the path of the measured procedure.
	placeOrder = "/spillway.v1.CheckoutService/PlaceOrder"
	// paid is how the answer says that the order was accepted and charged; nothing else in it can hold this text.
	paid = `"ORDER_STATE_PAID"`
)

// shopper is one client that places orders over one HTTP/1.1 connection. It is written out, instead of net/http's, because it
// shares the cores with what it measures: a client that costs as much as the server would halve every number.
type shopper struct {
	addr   string
	tokens []string
	name   string // begins the idempotency keys
	body   string
	calls  int
	conn   net.Conn
	in     *bufio.Reader
	buf    []byte
	stop   func() bool
}

// call places one order, each with a key of its own. The code is empty for an order that is PAID.
func (s *shopper) call(ctx context.Context) (code string) {
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return "no_connection"
		}
	}
	s.calls++
	status, answer, err := s.post()
	switch {
	case err != nil:
		s.close()
		return codeNoAnswer
	case status != 200:
		return errorCode(status, answer)
	case !bytes.Contains(answer, []byte(paid)):
		return codeNotPaid
	}
	return ""
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

// post sends one order and reads the answer, which is good until the next call.
func (s *shopper) post() (status int, answer []byte, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, nil, err
	}
	b := s.buf[:0]
	b = append(b, "POST "+placeOrder+" HTTP/1.1\r\nHost: "...)
	b = append(b, s.addr...)
	b = append(b, "\r\nContent-Type: application/json\r\nAuthorization: Bearer "...)
	b = append(b, s.tokens[s.calls%len(s.tokens)]...)
	b = append(b, "\r\nIdempotency-Key: "...)
	b = append(b, s.name...)
	b = strconv.AppendInt(b, int64(s.calls), 10)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(s.body)), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(b, s.body...)
	s.buf = b
	if _, err := s.conn.Write(s.buf); err != nil {
		return 0, nil, err
	}
	status, length, err := readHead(s.in)
	if err != nil {
		return 0, nil, err
	}
	s.buf = append(s.buf[:0], make([]byte, length)...)
	_, err = io.ReadFull(s.in, s.buf)
	return status, s.buf, err
}

var (
	errHead   = errors.New("this is not the head of an HTTP/1.1 answer")
	errLength = fmt.Errorf("the answer says no length, or one beyond %d bytes", answerMax)
)

// readHead reads the status line and the headers, of which only the length matters.
func readHead(in *bufio.Reader) (status, length int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, errHead
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, errHead
	}
	length = -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, errLength
			}
		}
	}
	if length < 0 || length > answerMax {
		return 0, 0, errLength
	}
	return status, length, nil
}

// errorCode is Connect's code in the answer, or its status.
func errorCode(status int, answer []byte) string {
	var e struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(answer, &e); err != nil || e.Code == "" {
		return "http_" + strconv.Itoa(status)
	}
	return e.Code
}
