package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadHead_Responses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		head           string
		status, length int
		err            error
	}{
		{"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 12\r\n\r\n", 200, 12, nil},
		{"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", 429, 0, nil},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, lengthChunked, nil},
		{"HTTP/1.1 200 OK\r\n\r\n", 0, 0, errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, 0, errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", 0, 0, errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\n", 0, 0, errLength},
		{"hello\r\n", 0, 0, errHead},
		{"HTTP/1.1 abc OK\r\n\r\n", 0, 0, errHead},
	} {
		status, length, err := readHead(bufio.NewReader(strings.NewReader(c.head)))
		if status != c.status || length != c.length || !errors.Is(err, c.err) {
			t.Errorf("%q: %d, %d, %v", c.head, status, length, err)
		}
	}
}

func TestReadResponse_Bodies(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	in := bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" +
		chunked + "3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n" +
		"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
	var buf []byte
	for _, want := range []struct {
		status int
		body   string
	}{{200, "first"}, {200, "second"}, {500, ""}} {
		status, body, err := readResponse(in, buf)
		if err != nil || status != want.status || string(body) != want.body {
			t.Errorf("%d %q, %v; want %v", status, body, err, want)
		}
		buf = body
	}
	if _, _, err := readResponse(in, buf); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for _, bad := range []string{chunked + "zz\r\n", chunked + "ffffff\r\n"} {
		if _, _, err := readResponse(bufio.NewReader(strings.NewReader(bad)), nil); !errors.Is(err, errLength) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
