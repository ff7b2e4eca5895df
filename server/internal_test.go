package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/wire"
)

// fakePayment fails with err.
type fakePayment struct {
	spillwayv1connect.UnimplementedPaymentServiceHandler

	err error
}

func (f *fakePayment) GetCharge(context.Context, *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
	return &spillwayv1.GetChargeResponse{}, f.err
}

// customerCarts returns the cart of the customer it is asked for.
type customerCarts struct{ of order.CustomerID }

func (c *customerCarts) Get(_ context.Context, customer order.CustomerID) (cart.Cart, error) {
	c.of = customer
	return cart.Cart{}, nil
}

func (*customerCarts) Add(context.Context, order.CustomerID, order.Demand) (cart.Cart, error) {
	return cart.Cart{}, errors.ErrUnsupported
}

func (*customerCarts) Set(context.Context, order.CustomerID, order.Demand) (cart.Cart, error) {
	return cart.Cart{}, errors.ErrUnsupported
}

func (*customerCarts) EmptyIf(context.Context, order.CustomerID, []order.Demand) error {
	return errors.ErrUnsupported
}
func (*customerCarts) Empty(context.Context, order.CustomerID) error { return errors.ErrUnsupported }

// internalPort is an internal port with a payment service, carts and a catalogue.
type internalPort struct {
	url     string
	payment *fakePayment
	carts   *customerCarts
	tokens  *auth.Tokens
}

func newInternalPort(t *testing.T) *internalPort {
	t.Helper()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	p := &internalPort{payment: &fakePayment{}, carts: &customerCarts{}, tokens: tokens}
	srv := httptest.NewUnstartedServer(server.NewInternalHandler(
		server.InternalConfig{Tokens: tokens, Log: slog.New(slog.DiscardHandler)},
		server.InternalServices{Payment: p.payment, Cart: server.Cart{Carts: p.carts}, Catalog: server.Catalog{}},
	))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	p.url = srv.URL
	return p
}

// caller sends a token with the roles, and the headers.
func (p *internalPort) caller(t *testing.T, header http.Header, roles ...auth.Role) connect.ClientOption {
	t.Helper()
	token, _, err := p.tokens.Mint(auth.Caller{Customer: "checkout", Roles: roles}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			for key := range header {
				req.Header().Set(key, header.Get(key))
			}
			return next(ctx, req)
		}
	}))
}

func codeOf(err error) connect.Code {
	if err == nil {
		return 0
	}
	return connect.CodeOf(err)
}

func TestInternalHandler_NeedsTheRole(t *testing.T) {
	t.Parallel()
	p := newInternalPort(t)
	get := func(opts ...connect.ClientOption) connect.Code {
		_, err := spillwayv1connect.NewPaymentServiceClient(http.DefaultClient, p.url, opts...).
			GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: "o"})
		return codeOf(err)
	}
	for name, c := range map[string]struct {
		got, want connect.Code
	}{
		"no token":  {get(), connect.CodeUnauthenticated},
		"customer":  {get(p.caller(t, nil)), connect.CodePermissionDenied},
		"operator":  {get(p.caller(t, nil, auth.Operator)), connect.CodePermissionDenied},
		"service":   {get(p.caller(t, nil, auth.Service)), 0},
		"over gRPC": {get(p.caller(t, nil, auth.Service), connect.WithGRPCWeb()), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

// TestInternalHandler_ServesOnlyWhatProcessesCall: a service's token is no operator's.
func TestInternalHandler_ServesOnlyWhatProcessesCall(t *testing.T) {
	t.Parallel()
	p := newInternalPort(t)
	catalog := spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, p.url, p.caller(t, nil, auth.Service, auth.Operator))
	_, err := catalog.AdjustStock(t.Context(), &spillwayv1.AdjustStockRequest{Sku: "S", Delta: 1, AdjustmentId: "a"})
	if connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("AdjustStock: %v", err)
	}
	email := spillwayv1connect.NewEmailServiceClient(http.DefaultClient, p.url, p.caller(t, nil, auth.Service))
	if _, err := email.SendOrderMails(t.Context(), &spillwayv1.SendOrderMailsRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("a service that the process does not serve: %v", err)
	}
}

// TestInternalHandler_CustomerOfTheHeader: a service vouches for the customer of its call. A customer cannot.
func TestInternalHandler_CustomerOfTheHeader(t *testing.T) {
	t.Parallel()
	p := newInternalPort(t)
	ada := http.Header{auth.CustomerHeader: {"ada"}}
	get := func(option connect.ClientOption) error {
		_, err := spillwayv1connect.NewCartServiceClient(http.DefaultClient, p.url, option).GetCart(t.Context(), &spillwayv1.GetCartRequest{})
		return err
	}
	if err := get(p.caller(t, ada, auth.Service)); err != nil || p.carts.of != "ada" {
		t.Errorf("cart of %q, %v", p.carts.of, err)
	}
	if err := get(p.caller(t, nil, auth.Service)); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("without a customer: %v", err)
	}
	if err := get(p.caller(t, ada)); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("as a customer: %v", err)
	}
}

// TestInternalHandler_ErrorsCrossTheBoundary: the caller sees the class, the outcome and the reason that it would see in process, over either protocol.
func TestInternalHandler_ErrorsCrossTheBoundary(t *testing.T) {
	t.Parallel()
	p := newInternalPort(t)
	rates := &order.RatesTooOldError{Date: "2026-11-27", MaxAge: 48 * time.Hour}
	all := []error{
		order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrFailedPrecondition, order.ErrOverloaded, order.ErrUnavailable,
		order.ErrNotSent, order.ErrUnknownOutcome, order.ErrRatesTooOld,
	}
	for name, c := range map[string]struct {
		err     error
		is      []error // and none of the others
		reason  order.Reason
		failure bool
	}{
		"not found": {order.Refuse(order.ErrNotFound, order.ReasonShipmentNotFound, "x"), []error{order.ErrNotFound}, order.ReasonShipmentNotFound, false},
		"a field": {
			order.InField("currencyCode", order.Refuse(order.ErrInvalid, order.ReasonUnsupportedCurrency, "x")),
			[]error{order.ErrInvalid},
			order.ReasonUnsupportedCurrency, false,
		},
		"voided":                    {fmt.Errorf("order is voided: %w", order.ErrFailedPrecondition), []error{order.ErrFailedPrecondition}, order.ReasonFailedPrecondition, false},
		"amount":                    {fmt.Errorf("charged: %w", order.ErrAlreadyExists), []error{order.ErrAlreadyExists}, order.ReasonAlreadyExists, false},
		"full":                      {order.Refuse(order.ErrOverloaded, order.ReasonTooManyCalls, "x"), []error{order.ErrOverloaded}, order.ReasonTooManyCalls, false},
		"rates":                     {rates, []error{order.ErrRatesTooOld, order.ErrUnavailable}, "", false},
		"not sent":                  {fmt.Errorf("%w: %w", order.ErrNotSent, order.ErrUnavailable), []error{order.ErrNotSent, order.ErrUnavailable}, "", true},
		"down":                      {order.ErrUnavailable, []error{order.ErrUnavailable, order.ErrUnknownOutcome}, "", true},
		"broken off by the service": {context.Canceled, []error{order.ErrUnavailable, order.ErrUnknownOutcome}, "", true},
		"a charge that a busy ledger did not record": {
			fmt.Errorf("%w: %w", order.ErrUnknownOutcome, order.ErrOverloaded),
			[]error{order.ErrUnavailable, order.ErrUnknownOutcome},
			"", true,
		},
		"a charge that an open breaker kept from the ledger": {
			fmt.Errorf("%w: %w: %w", order.ErrUnknownOutcome, order.ErrNotSent, order.ErrUnavailable),
			[]error{order.ErrUnavailable, order.ErrUnknownOutcome},
			"", true,
		},
		"a defect": {errors.New("secret"), nil, "", true},
	} {
		for protocol, option := range map[string]connect.ClientOption{"connect": connect.WithProtoJSON(), "grpc-web": connect.WithGRPCWeb()} {
			p.payment.err = c.err
			_, err := spillwayv1connect.NewPaymentServiceClient(http.DefaultClient, p.url, option, p.caller(t, nil, auth.Service)).
				GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: "o"})
			got := wire.FromConnect(err)
			for _, class := range all {
				want := false
				for _, is := range c.is {
					want = want || is == class //nolint:errorlint // They are the sentinels themselves.
				}
				if errors.Is(got, class) != want {
					t.Errorf("%s over %s: %v: is %q: %t", name, protocol, got, class, !want)
				}
			}
			var refused *order.RefusalError
			if errors.As(got, &refused); c.reason != "" && (refused == nil || refused.Reason != c.reason) {
				t.Errorf("%s over %s: refusal %+v, want %s", name, protocol, refused, c.reason)
			}
			var ce *connect.Error
			if errors.As(got, &ce) || strings.Contains(got.Error(), "secret") {
				t.Errorf("%s over %s: %v", name, protocol, got)
			}
			if breaker.IsFailure(got) != c.failure {
				t.Errorf("%s over %s: failure %t", name, protocol, !c.failure)
			}
			var tooOld *order.RatesTooOldError
			if errors.As(got, &tooOld) && *tooOld != *rates {
				t.Errorf("%+v", tooOld)
			}
			var field *order.FieldError
			if name == "a field" && (!errors.As(got, &field) || field.Field != "currencyCode") {
				t.Errorf("field %+v", field)
			}
		}
	}
}

// countedBody counts what is read of an endless body.
type countedBody struct{ read int }

func (b *countedBody) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}

func (*countedBody) Close() error { return nil }

// TestInternalHandler_ReadsNoBodyOfStrangers: a body may be large here, so that nothing of it is read before the token was accepted.
func TestInternalHandler_ReadsNoBodyOfStrangers(t *testing.T) {
	t.Parallel()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	customer, _, err := tokens.Mint(auth.Caller{Customer: "guest"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	h := server.NewInternalHandler(
		server.InternalConfig{Tokens: tokens, Log: slog.New(slog.DiscardHandler)}, server.InternalServices{Payment: &fakePayment{}},
	)
	for _, contentType := range []string{"application/proto", "application/json", "application/grpc", "application/grpc-web"} {
		for name, c := range map[string]struct {
			authorization string
			status        int
			grpc          string
		}{
			"no token": {"", http.StatusUnauthorized, "16"}, "a foreign token": {"Bearer x", http.StatusUnauthorized, "16"},
			"a customer": {"Bearer " + customer, http.StatusForbidden, "7"},
		} {
			body := &countedBody{}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, spillwayv1connect.PaymentServiceChargeProcedure, nil)
			r.Body = body
			r.Header.Set("Content-Type", contentType)
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if body.read > 0 {
				t.Errorf("%s, %s: %d bytes of the body were read", contentType, name, body.read)
			}
			if strings.Contains(contentType, "grpc") { // The status is in the headers, or in the trailers that are a body.
				if w.Header().Get("Grpc-Status") != c.grpc && !strings.Contains(strings.ToLower(w.Body.String()), "grpc-status: "+c.grpc) {
					t.Errorf("%s, %s: %v %q, want status %s", contentType, name, w.Header(), w.Body, c.grpc)
				}
			} else if w.Code != c.status || !strings.Contains(w.Body.String(), "spillway") {
				t.Errorf("%s, %s: %d %s, want %d", contentType, name, w.Code, w.Body, c.status)
			}
		}
	}
}
