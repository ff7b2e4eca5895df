package queue

import (
	"fmt"
	"regexp"
)

const (
	// MaxBodyBytes is the maximum size of one body. Brokers accept 4 MiB for a whole message; the headroom is for
	// headers and framing.
	MaxBodyBytes = 4<<20 - 64<<10
	// MaxHeaders is the maximum number of headers of a message, beside its checksum and its trace context.
	MaxHeaders = 32
	// MaxHeaderBytes is the maximum total size of all header names and values.
	MaxHeaderBytes = 8 << 10
	// MaxNameBytes is the maximum length of the name of a topic or group.
	MaxNameBytes = 64
)

var (
	namePattern   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	headerPattern = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

// CheckName returns an error that wraps ErrInvalid if a topic or group cannot have this name in every broker.
func CheckName(kind, name string) error {
	if len(name) > MaxNameBytes || !namePattern.MatchString(name) {
		return fmt.Errorf("%w: %s %q: take 1 to %d letters, digits, '-' or '_'", ErrInvalid, kind, name, MaxNameBytes)
	}
	return nil
}

// Check returns an error that wraps ErrTooLarge or ErrInvalid if the message cannot be sent.
func (o Outgoing) Check() error {
	if len(o.Body) == 0 {
		return fmt.Errorf("%w: the body is empty, and not every broker takes that", ErrInvalid)
	}
	if n := len(o.Body); n > MaxBodyBytes {
		return fmt.Errorf("%w: the body has %d bytes, at most %d fit: split it", ErrTooLarge, n, MaxBodyBytes)
	}
	if n := len(o.Headers); n > MaxHeaders {
		return fmt.Errorf("%w: %d headers, at most %d fit", ErrTooLarge, n, MaxHeaders)
	}
	sum := 0
	for k, v := range o.Headers {
		if !headerPattern.MatchString(k) {
			return fmt.Errorf("%w: header name %q: take lower-case letters, digits, '-' or '_'", ErrInvalid, k)
		}
		if !printable(v) {
			return fmt.Errorf("%w: header %q has a value that is not printable ASCII", ErrInvalid, k)
		}
		sum += len(k) + len(v)
	}
	if sum > MaxHeaderBytes {
		return fmt.Errorf("%w: the headers have %d bytes, at most %d fit", ErrTooLarge, sum, MaxHeaderBytes)
	}
	return nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
