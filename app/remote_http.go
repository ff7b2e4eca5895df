package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
	"github.com/spillway/spillway/reread"
	"github.com/spillway/spillway/throttle"
	"github.com/spillway/spillway/wire"
)

const (
	// dialTimeout bounds the making of a connection, and of its TLS. It is less than the time of any call, so that the error is that of the connection: then it is known
	// that nothing was sent.
	dialTimeout = time.Second
	// maxIdleConns is how many unused HTTP/1.1 connections to a service are kept: as many as a process has charges in progress.
	maxIdleConns = maxCharges
	// idleConnTimeout is shorter than that of the service, which would otherwise close a connection just when it is used.
	idleConnTimeout = time.Minute
	// peerPing and peerTimeout test an HTTP/2 connection that is silent, so that a service that vanished is noticed.
	peerPing    = 5 * time.Second
	peerTimeout = 5 * time.Second
	// maxResponseBytes bounds a response: 100 products with descriptions, or the results of 100 mails.
	maxResponseBytes = 4 << 20
)

// transport makes the connections to a service: HTTP/2 for gRPC; for Connect HTTP/1.1, or with TLS what both sides know.
func (e endpoint) transport(roots *authorities) *http.Transport {
	t := &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: idleConnTimeout, Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{SendPingTimeout: peerPing, PingTimeout: peerTimeout},
	}
	t.Protocols.SetHTTP1(!e.grpc)
	t.Protocols.SetHTTP2(e.tls)
	t.Protocols.SetUnencryptedHTTP2(e.grpc && !e.tls)
	if roots != nil {
		trusting(t, roots)
	}
	return t
}

// sentOrNot marks the error of a request that got no connection with order.ErrNotSent: whatever the reason, such as a refused connection, a handshake of TLS that did
// not end or a certificate that is not trusted, the service received nothing of it.
type sentOrNot struct{ next http.RoundTripper }

// RoundTrip sends a request.
func (s sentOrNot) RoundTrip(req *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	resp, err := s.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && !connected.Load() {
		err = fmt.Errorf("%w: %w", order.ErrNotSent, err)
	}
	return resp, err
}

// noRedirects keeps requests, and their tokens and cards, from being sent elsewhere.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

const (
	// serviceTokenTTL is how long a token is good that the process makes for itself. It is renewed when half of that is over.
	serviceTokenTTL = time.Hour
	// serviceCaller is the customer of such a token.
	serviceCaller order.CustomerID = "spillway-service"
)

// serviceToken is the token that a process sends to others: one of a file, a fixed one, or one that it makes with the shop's key.
type serviceToken struct {
	file   *reread.Value[string] // nil without a file
	fixed  string
	tokens *auth.Tokens
	now    func() time.Time

	mu    sync.Mutex
	token string
	renew time.Time
}

// newServiceToken returns the token of the configuration. tokens may be nil if there is one.
func newServiceToken(c RemoteConfig, tokens *auth.Tokens, log *slog.Logger) (*serviceToken, error) {
	s := &serviceToken{fixed: c.Token, tokens: tokens, now: time.Now}
	if c.TokenFile == "" {
		return s, nil
	}
	var err error
	s.file, err = reread.New(reread.Config[string]{
		What: "service token", Files: []string{c.TokenFile}, Log: log, Now: time.Now,
		Read: func() (string, error) {
			token, err := ReadSecret(c.TokenFile)
			if err == nil {
				err = validToken(token)
			}
			return token, err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("--service-token-file: %w", err)
	}
	return s, nil
}

var errToken = errors.New("a token is one word of visible characters, without Bearer before it")

// validToken checks that a header can have the token. Its error does not quote it.
func validToken(token string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errToken
	}
	return nil
}

func (s *serviceToken) get() (string, error) {
	switch {
	case s.file != nil:
		return s.file.Get(), nil
	case s.fixed != "":
		return s.fixed, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.After(s.renew) {
		token, _, err := s.tokens.Mint(auth.Caller{Customer: serviceCaller, Roles: []auth.Role{auth.Service}}, serviceTokenTTL)
		if err != nil {
			return "", err
		}
		s.token, s.renew = token, now.Add(serviceTokenTTL/2) //nolint:mnd // Half of it.
	}
	return s.token, nil
}

// intercept sends the token, and the id of the request that the call belongs to.
func (s *serviceToken) intercept() connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			token, err := s.get()
			if err != nil {
				return nil, err
			}
			req.Header().Set("Authorization", "Bearer "+token)
			if id := requestid.From(ctx); id != "" {
				req.Header().Set(requestid.Header, id)
			}
			return next(ctx, req)
		}
	})
}

// retried sends an idempotent call once more if its connection broke, as when the service restarts: the connection was made before, and the next one may reach another
// process. It does not retry what the service responded, nor a charge, whose outcome is requested instead.
func retried() connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			resp, err := next(ctx, req)
			broken := err != nil && connect.CodeOf(err) == connect.CodeUnavailable && !connect.IsWireError(err)
			if !broken || ctx.Err() != nil || req.Spec().IdempotencyLevel == connect.IdempotencyUnknown {
				return resp, err
			}
			return next(ctx, req)
		}
	})
}

// remoteLogInterval is the least time between two lines about failures of one service.
const remoteLogInterval = 10 * time.Second

// newRemoteLog logs failures of a service where they are found, with what to set if the configuration is wrong. A line has no content of a request.
func newRemoteLog(service string, log *slog.Logger) connect.Interceptor {
	var logged throttle.Interval
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			resp, err := next(ctx, req)
			if err != nil && breaker.IsFailure(wire.FromConnect(err)) && logged.Due(time.Now(), remoteLogInterval) {
				log.WarnContext(ctx, "a call to another process failed",
					"service", service, "procedure", req.Spec().Procedure, "error", err, "advice", remoteAdvice(service, err))
			}
			return resp, err
		}
	})
}

// remoteAdvice is what to check after a failure.
func remoteAdvice(service string, err error) string {
	flag := remoteFlags[service]
	switch connect.CodeOf(err) { //nolint:exhaustive // The others are failures of the service.
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return "--service-token must have the role service and be of the same shop, or --auth-key must be the same in every process"
	case connect.CodeUnimplemented, connect.CodeUnknown, connect.CodeInternal:
		if connect.IsWireError(err) && connect.CodeOf(err) != connect.CodeUnimplemented {
			return "see the log of the service"
		}
		return flag + " must be the URL of the --internal-listen of a process with --services " + service + ", of this version"
	case connect.CodeDeadlineExceeded:
		return "the process at " + flag + " did not respond in time: it may be overloaded or frozen, or its network drops packets"
	case connect.CodeUnavailable:
		if !connect.IsWireError(err) {
			return connectionAdvice(flag, err)
		}
	}
	return "see the log of the service"
}

// connectionAdvice is what to check after a failure of the connection.
func connectionAdvice(flag string, err error) string {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &untrusted):
		return "the certificate of the process at " + flag + " must name the host of the URL, and --service-ca-file must have the authority that signed it"
	case errors.As(err, &plain), strings.Contains(err.Error(), "HTTP response to HTTPS client"): // net/http has no type for it.
		return "the port at " + flag + " speaks no TLS: give that process --internal-cert-file and --internal-key-file, or use http:// or grpc://"
	}
	return "the process at " + flag + " must run, and listen there"
}
