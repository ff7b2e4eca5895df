package queue

import (
	"fmt"
	"regexp"
)

const (
	// MaxBodyBytes bounds one body. Brokers take 4 MiB for a whole message; the headroom is for headers and framing.
	MaxBodyBytes = 4<<20 - 64<<10
	// MaxHeaders bounds the number of headers of a message, trace context included.
	MaxHeaders = 32
	// MaxHeaderBytes bounds the sum of all names and values.
	MaxHeaderBytes = 8 << 10
	// MaxNameBytes bounds the names of topics and groups.
	MaxNameBytes = 64
)

var (
	namePattern   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	headerPattern = regexp.MustCompile(`^[a-z0-9_-]+$`)
)

// CheckName says, by an error wrapping ErrInvalid, why a topic or group cannot have this name in every broker.
func CheckName(kind, name string) error {
	if len(name) > MaxNameBytes || !namePattern.MatchString(name) {
		return fmt.Errorf("%w: %s %q: take 1 to %d letters, digits, '-' or '_'", ErrInvalid, kind, name, MaxNameBytes)
	}
	return nil
}

// Check says, by an error wrapping ErrTooLarge or ErrInvalid, why a message cannot be sent.
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
