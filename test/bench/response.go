package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// maxResponseBytes is the maximum size of the body of one response; a page of products has about 10,000 bytes.
const maxResponseBytes = 256 << 10

// lengthChunked is the length of a body in chunks.
const lengthChunked = -1

var (
	errHead   = errors.New("malformed head of an HTTP/1.1 response")
	errLength = fmt.Errorf("the response has no length, or one above %d bytes", maxResponseBytes)
)

// readResponse reads one response, with its body in the buffer, which it may replace by a larger one.
func readResponse(in *bufio.Reader, buf []byte) (status int, body []byte, err error) {
	status, length, err := readHead(in)
	if err != nil {
		return 0, buf, err
	}
	if length == lengthChunked {
		body, err = readChunks(in, buf[:0])
		return status, body, err
	}
	body, err = readN(in, buf[:0], length)
	return status, body, err
}

// readN appends n bytes.
func readN(in *bufio.Reader, buf []byte, n int) ([]byte, error) {
	begin := len(buf)
	buf = slices.Grow(buf, n)[:begin+n]
	_, err := io.ReadFull(in, buf[begin:])
	return buf, err
}

// readChunks appends the body of a response with Transfer-Encoding chunked, without trailers.
func readChunks(in *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return buf, err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil || int(size)+len(buf) > maxResponseBytes {
			return buf, errLength
		}
		if buf, err = readN(in, buf, int(size)); err != nil {
			return buf, err
		}
		if _, err := in.Discard(len("\r\n")); err != nil || size == 0 {
			return buf, err
		}
	}
}

// readHead reads the status line and the headers, and returns the status and the length, which may be lengthChunked.
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
	known := false
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, 0, errLength
			}
			known = true
		case bytes.EqualFold(name, []byte("Transfer-Encoding")) && bytes.EqualFold(value, []byte("chunked")):
			length, known = lengthChunked, true
		}
	}
	if !known || length > maxResponseBytes {
		return 0, 0, errLength
	}
	return status, length, nil
}
