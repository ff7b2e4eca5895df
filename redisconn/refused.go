package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/redis/rueidis"
)

// Refusal is why a Redis or a Sentinel cannot be used until a setting is changed.
type Refusal int

const (
	// RefusedLogin means that user or password are wrong or missing, or that the user may not run a command or use a key.
	RefusedLogin Refusal = iota
	// RefusedCertificate means that its certificate is not trusted, or is for another name.
	RefusedCertificate
	// RefusedNoCertificate means that it requires a certificate of its clients.
	RefusedNoCertificate
	// RefusedTLS means that it does not speak TLS.
	RefusedTLS
	// RefusedPlain means that it speaks TLS only.
	RefusedPlain
)

// RefusedError is an error that retries do not change.
type RefusedError struct {
	Refusal  Refusal
	Sentinel bool // it is a Sentinel's

	err error
}

// Error is the cause's text.
func (e *RefusedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.err }

// Refused returns the refusal in the error; nil if there is none.
func Refused(err error) *RefusedError {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	var reply *rueidis.RedisError
	if errors.As(err, &reply) && isLoginReply(reply.Error()) {
		return &RefusedError{Refusal: RefusedLogin, err: err}
	}
	return nil
}

// loginReplies are in the error replies of Redis to a user without the right password or rights.
var loginReplies = []string{"NOAUTH", "WRONGPASS", "NOPERM", "ACL failure in script", "without any password configured"}

func isLoginReply(text string) bool {
	for _, r := range loginReplies {
		if strings.Contains(text, r) {
			return true
		}
	}
	return false
}

// probeTimeout bounds the attempt to find out whether the other side speaks TLS.
const probeTimeout = 500 * time.Millisecond

// diagnose returns a RefusedError for the error of a connection, if a setting is its reason. Otherwise it returns the error.
func diagnose(ctx context.Context, addr string, cfg *tls.Config, err error) error {
	var certificate *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	refused := func(r Refusal) error { return &RefusedError{Refusal: r, err: err} }
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	switch {
	case err == nil || Refused(err) != nil:
		return err
	case errors.As(err, &certificate):
		return refused(RefusedCertificate)
	case cfg != nil && strings.Contains(err.Error(), "tls: certificate required"):
		return refused(RefusedNoCertificate)
	case cfg != nil && (errors.As(err, &header) || isTimeout(err)) && speaksPlain(ctx, addr):
		return refused(RefusedTLS)
	case cfg == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) && speaksTLS(ctx, addr):
		return refused(RefusedPlain)
	}
	return err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// speaksPlain reports whether a Redis without TLS is at the address. It sends no secret.
func speaksPlain(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // It was only a probe.
	deadline, _ := ctx.Deadline()
	if conn.SetDeadline(deadline) != nil {
		return false
	}
	_, err = newRESP(conn).text("PING")
	return err == nil || isLoginReply(err.Error())
}

// speaksTLS reports whether the address speaks TLS. It trusts any certificate and sends nothing.
func speaksTLS(ctx context.Context, addr string) bool {
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", addr) //nolint:gosec // Nothing is sent or read.
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
