package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/reread"
	"github.com/spillway/spillway/wire"
)

// breaking is a client transport whose first requests fail with the errors, and whose others reach the service.
type breaking struct {
	errs  []error
	calls int
}

func (b *breaking) RoundTrip(req *http.Request) (*http.Response, error) {
	b.calls++
	if b.calls <= len(b.errs) {
		return nil, b.errs[b.calls-1]
	}
	return http.DefaultTransport.RoundTrip(req)
}

// answering is a payment service that responds with err.
type answering struct {
	spillwayv1connect.UnimplementedPaymentServiceHandler

	err error
}

func (a answering) GetCharge(context.Context, *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
	return &spillwayv1.GetChargeResponse{}, a.err
}

func (a answering) Charge(context.Context, *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	return &spillwayv1.ChargeResponse{}, a.err
}

func serving(t *testing.T, h spillwayv1connect.PaymentServiceHandler) (url string) {
	t.Helper()
	path, handler := spillwayv1connect.NewPaymentServiceHandler(h)
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestRetried: an idempotent call whose connection broke is sent once more. A charge, and what the service itself responded, is not.
func TestRetried(t *testing.T) {
	t.Parallel()
	broke := errors.New("connection reset by peer")
	get := func(ctx context.Context, c spillwayv1connect.PaymentServiceClient) error {
		_, err := c.GetCharge(ctx, &spillwayv1.GetChargeRequest{OrderId: "o"})
		return err
	}
	charge := func(ctx context.Context, c spillwayv1connect.PaymentServiceClient) error {
		_, err := c.Charge(ctx, &spillwayv1.ChargeRequest{OrderId: "o"})
		return err
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		ctx     context.Context //nolint:containedctx // It is a case of the table.
		call    func(context.Context, spillwayv1connect.PaymentServiceClient) error
		broken  []error
		answer  error
		calls   int
		succeed bool
	}{
		"the connection works":        {call: get, calls: 1, succeed: true},
		"it breaks once":              {call: get, broken: []error{broke}, calls: 2, succeed: true},
		"it breaks twice":             {call: get, broken: []error{broke, broke}, calls: 2},
		"a charge":                    {call: charge, broken: []error{broke}, calls: 1},
		"the service is unavailable":  {call: get, answer: connect.NewError(connect.CodeUnavailable, errors.New("busy")), calls: 1},
		"the caller has left":         {ctx: left, call: get, broken: []error{broke}, calls: 1},
		"an error of another meaning": {call: get, answer: connect.NewError(connect.CodeNotFound, errors.New("none")), calls: 1},
	} {
		transport := &breaking{errs: c.broken}
		client := spillwayv1connect.NewPaymentServiceClient(
			&http.Client{Transport: transport},
			serving(t, answering{err: c.answer}),
			connect.WithInterceptors(retried()),
		)
		ctx := t.Context()
		if c.ctx != nil {
			ctx = c.ctx
		}
		if err := c.call(ctx, client); (err == nil) != c.succeed || transport.calls != c.calls {
			t.Errorf("%s: %d calls and %v; want %d, success %t", name, transport.calls, err, c.calls, c.succeed)
		}
	}
}

// TestSentOrNot: a call that got no connection, for whatever reason, had no effect for certain. One that got one may have had.
func TestSentOrNot(t *testing.T) {
	t.Parallel()
	frozen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // The kernel accepts; nobody responds.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() })
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	encrypted := httptest.NewTLSServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(encrypted.Close)
	plain := serving(t, answering{})
	for name, c := range map[string]struct {
		url  string
		sent bool
	}{
		"nobody listens":                     {"http://" + gone.Addr().String(), false},
		"the handshake does not end":         {"https://" + frozen.Addr().String(), false},
		"gRPC, the handshake does not end":   {"grpcs://" + frozen.Addr().String(), false},
		"the certificate is not trusted":     {encrypted.URL, false},
		"the port speaks no TLS":             {"https" + strings.TrimPrefix(plain, "http"), false},
		"the response does not come":         {"http://" + frozen.Addr().String(), true},
		"gRPC, the response does not come":   {"grpc://" + frozen.Addr().String(), true},
		"the host has no address that is ok": {"http://host.invalid:1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := parseEndpoint("--payment-url", c.url)
			if err != nil {
				t.Fatal(err)
			}
			var opts []connect.ClientOption
			if at.grpc {
				opts = append(opts, connect.WithGRPC())
			}
			transport := at.transport(nil)
			defer transport.CloseIdleConnections()
			client := spillwayv1connect.NewPaymentServiceClient(&http.Client{Transport: sentOrNot{transport}}, at.base, opts...)
			ctx, cancel := context.WithTimeout(t.Context(), 2*dialTimeout)
			defer cancel()
			_, err = client.Charge(ctx, &spillwayv1.ChargeRequest{OrderId: "o"})
			err = wire.FromConnect(err)
			if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrNotSent) == c.sent || errors.Is(err, order.ErrUnknownOutcome) != c.sent {
				t.Errorf("%v; want an unknown outcome: %t", err, c.sent)
			}
		})
	}
}

// TestServiceToken_RenewedInTime: a token that the process makes is replaced when half of its time is over, and is good for all of that time.
func TestServiceToken_RenewedInTime(t *testing.T) {
	t.Parallel()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServiceToken(RemoteConfig{}, tokens, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.now = func() time.Time { return now }
	get := func() string {
		t.Helper()
		token, err := s.get()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := get()
	caller, err := tokens.Verify(first)
	if err != nil || !caller.Has(auth.Service) {
		t.Errorf("the caller of the token: %+v, %v", caller, err)
	}
	// Two tokens of one second are equal, so that the time of the next one is compared.
	renew := s.renew
	now = now.Add(serviceTokenTTL / 2)
	if get(); !s.renew.Equal(renew) {
		t.Error("it was replaced before half of its time was over")
	}
	now = now.Add(time.Second)
	if get(); !s.renew.Equal(now.Add(serviceTokenTTL / 2)) {
		t.Error("it was not replaced after half of its time")
	}
}

// TestServiceToken_ReadAgain: a token that an administrator replaces in its file counts without a restart.
func TestServiceToken_ReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	s, err := newServiceToken(RemoteConfig{Token: "first", TokenFile: path}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.get(); got != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	write("<html>\nno token\n") // It leaves the one before in use.
	<-time.After(reread.Interval + reread.Interval/10)
	if got, err := s.get(); got != "first" || err != nil {
		t.Errorf("after nonsense: %q, %v", got, err)
	}
	write("second\n")
	for deadline := time.Now().Add(time.Minute); ; <-time.After(reread.Interval / 10) {
		got, err := s.get()
		if got == "second" {
			break
		}
		if got != "first" || err != nil || time.Now().After(deadline) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := newServiceToken(RemoteConfig{TokenFile: filepath.Join(t.TempDir(), "none")}, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that does not exist is taken")
	}
}

// TestConfig_ServiceTokenIsOneWord: a token with a space or a line break would be refused by the transport at each call.
func TestConfig_ServiceTokenIsOneWord(t *testing.T) {
	t.Parallel()
	for token, ok := range map[string]bool{"a.b-c_d": true, "a b": false, "a\nb": false, "Bearer x": false, "ü": false} {
		c := alone(serviceShipping, needsSQL)
		c.Remote = RemoteConfig{Currency: "http://127.0.0.1:9004", Token: token}
		if err := c.Validate(); (err == nil) != ok || err != nil && (!strings.Contains(err.Error(), "--service-token") || strings.Contains(err.Error(), token)) {
			t.Errorf("%q: %v", token, err)
		}
	}
}
