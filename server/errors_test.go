package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
)

// placeOrder is a request that the validation rules accept.
func placeOrder() *spillwayv1.PlaceOrderRequest {
	return &spillwayv1.PlaceOrderRequest{
		Lines: []*spillwayv1.Line{{Sku: "A", Quantity: 1}}, CurrencyCode: "EUR", Email: "a@example.com", IdempotencyKey: "k1",
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "B 1", City: "C", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: cardNumber, Cvv: "123", ExpiryYear: 2030, ExpiryMonth: 1},
	}
}

// secretText is what must not leave the server in an error.
const secretText = "dial tcp 10.1.2.3:3306: root password"

// protocols are the ways in which a generated client may speak to the one port.
func protocols(h2c *http.Client, http1 *http.Client) map[string]struct {
	client *http.Client
	opts   []connect.ClientOption
} {
	return map[string]struct {
		client *http.Client
		opts   []connect.ClientOption
	}{
		"connect over HTTP/1.1":      {http1, nil},
		"connect JSON over HTTP/1.1": {http1, []connect.ClientOption{connect.WithProtoJSON()}},
		"connect over h2c":           {h2c, nil},
		"gRPC over h2c":              {h2c, []connect.ClientOption{connect.WithGRPC()}},
		"gRPC JSON over h2c":         {h2c, []connect.ClientOption{connect.WithGRPC(), connect.WithProtoJSON()}},
		"gRPC-Web over HTTP/1.1":     {http1, []connect.ClientOption{connect.WithGRPCWeb()}},
		"gRPC-Web over h2c":          {h2c, []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

func h2cClient(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// bearer sends the token with each call.
func bearer(token string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}))
}

// refusedCase is an error of a handler and what the caller gets.
type refusedCase struct {
	err    error
	code   connect.Code
	reason order.Reason
	// metadata has one pair that the ErrorInfo contains.
	metadata [2]string
	// retry is the RetryInfo's delay; 0 for an error without one.
	retry  time.Duration
	detail proto.Message
	// hidden errors do not send their text.
	hidden bool
}

var refusedCases = map[string]refusedCase{
	"invalid": {err: fmt.Errorf("currency: %w", order.ErrInvalid), code: connect.CodeInvalidArgument, reason: "INVALID_FIELD"},
	"invalid field": {
		err: invalidField("pageToken", "too old"), code: connect.CodeInvalidArgument, reason: "INVALID_FIELD",
		detail: &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: "pageToken", Description: "too old", Reason: "INVALID_FIELD",
		}}},
	},
	"not found":  {err: fmt.Errorf("product: %w", order.ErrNotFound), code: connect.CodeNotFound, reason: "NOT_FOUND"},
	"exists":     {err: fmt.Errorf("product: %w", order.ErrAlreadyExists), code: connect.CodeAlreadyExists, reason: "ALREADY_EXISTS"},
	"key reused": {err: order.ErrKeyReused, code: connect.CodeAlreadyExists, reason: "IDEMPOTENCY_KEY_REUSED"},
	"state":      {err: fmt.Errorf("cart: %w", order.ErrFailedPrecondition), code: connect.CodeFailedPrecondition, reason: "FAILED_PRECONDITION"},
	"with a reason": {
		err:  fmt.Errorf("read: %w", order.ProductNotFound("A")),
		code: connect.CodeNotFound, reason: "PRODUCT_NOT_FOUND", metadata: [2]string{"sku", "A"},
	},
	"sold out": {
		err:  &order.SoldOutError{Shortages: []order.Shortage{{SKU: "A", Requested: 3, Available: 2}}},
		code: connect.CodeFailedPrecondition, reason: "SOLD_OUT",
		detail: &spillwayv1.SoldOut{Items: []*spillwayv1.SoldOutItem{{Sku: "A", Requested: 3, Available: 2}}},
	},
	"declined": {
		err: &order.DeclinedError{OrderID: "O", Code: "lost_card"}, code: connect.CodeFailedPrecondition, reason: "PAYMENT_DECLINED",
		detail: &spillwayv1.PaymentDeclined{OrderId: "O", DeclineCode: "lost_card"},
	},
	"declined, to be paid with another card": {
		err:  &order.DeclinedError{OrderID: "O", Code: "lost_card", PayUntil: time.Unix(60, 0)},
		code: connect.CodeFailedPrecondition, reason: "PAYMENT_DECLINED",
		detail: &spillwayv1.PaymentDeclined{OrderId: "O", DeclineCode: "lost_card", ExpireTime: &timestamppb.Timestamp{Seconds: 60}},
	},
	"price changed": {
		err: &order.PriceChangedError{
			Expected: order.Money{Currency: "EUR", Amount: 1894}, Actual: order.Money{Currency: "EUR", Amount: 11586},
		},
		code: connect.CodeFailedPrecondition, reason: "PRICE_CHANGED",
		detail: &spillwayv1.PriceChanged{
			Expected: &spillwayv1.Money{CurrencyCode: "EUR", Units: 18, Nanos: 940_000_000},
			Actual:   &spillwayv1.Money{CurrencyCode: "EUR", Units: 115, Nanos: 860_000_000},
		},
	},
	"limit of units": {
		err:  fmt.Errorf("reserve: %w", &order.LimitError{Limit: order.LimitOrderUnits, Maximum: 10, SKU: "A"}),
		code: connect.CodeFailedPrecondition, reason: "UNIT_LIMIT_EXCEEDED", metadata: [2]string{"limit", "units_per_order"},
	},
	"limit of a rate": {
		err:  &order.LimitError{Limit: order.LimitSessions, Maximum: 30, After: 2 * time.Second},
		code: connect.CodeResourceExhausted, reason: "LIMIT_EXCEEDED", metadata: [2]string{"maximum", "30"}, retry: 2 * time.Second,
	},
	"overloaded": {
		err:  &order.RetryError{After: time.Second, Err: order.ErrOverloaded},
		code: connect.CodeResourceExhausted, reason: "OVERLOADED", retry: time.Second,
	},
	"unavailable": {
		err:  fmt.Errorf("%s: %w", secretText, order.ErrUnavailable),
		code: connect.CodeUnavailable, reason: "UNAVAILABLE", retry: time.Second, hidden: true,
	},
	"unavailable, with a reason": {
		err:  notDurableYet("O", "not durable yet", errors.New(secretText)),
		code: connect.CodeUnavailable, reason: "NOT_DURABLE_YET", metadata: [2]string{"orderId", "O"}, retry: time.Second, hidden: true,
	},
	"unknown outcome": {
		err:  fmt.Errorf("%s: %w", secretText, order.ErrUnknownOutcome),
		code: connect.CodeUnavailable, reason: "UNAVAILABLE", retry: time.Second, hidden: true,
	},
	"deadline":   {err: fmt.Errorf("x: %w", context.DeadlineExceeded), code: connect.CodeDeadlineExceeded, reason: "DEADLINE_EXCEEDED"},
	"cancelled":  {err: fmt.Errorf("x: %w", context.Canceled), code: connect.CodeCanceled, reason: "CANCELED"},
	"unforeseen": {err: errors.New(secretText), code: connect.CodeInternal, reason: "INTERNAL", hidden: true},
	"unavailable, of another service": {
		err:  fmt.Errorf("%w: %w", order.ErrUnavailable, fromWire(connect.CodeUnavailable)),
		code: connect.CodeUnavailable, reason: "UNAVAILABLE", retry: time.Second, hidden: true,
	},
	"unforeseen, of another service": {err: fromWire(connect.CodeInternal), code: connect.CodeInternal, reason: "INTERNAL", hidden: true},
}

func TestEdge_EachErrorOverEachProtocol(t *testing.T) {
	var answer error
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, answer
	}}})
	token := e.token(t, "c")
	for protocol, p := range protocols(h2cClient(t), e.client) {
		client := spillwayv1connect.NewCheckoutServiceClient(p.client, e.url, append(p.opts, bearer(token))...)
		for name, c := range refusedCases {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				answer = c.err
				_, err := client.PlaceOrder(t.Context(), placeOrder())
				c.check(t, err)
			})
		}
	}
	if !strings.Contains(e.log.String(), secretText) {
		t.Error("a text that is not sent is not in the log")
	}
}

// TestTranslate_TextWithoutItsClass: the text that clients get does not end with that of the sentinel, which the code stands for.
func TestTranslate_TextWithoutItsClass(t *testing.T) {
	var answer error
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, answer
	}}})
	client := spillwayv1connect.NewCheckoutServiceClient(h2cClient(t), e.url, connect.WithGRPC(), bearer(e.token(t, "c")))
	for _, class := range []error{
		order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded, order.ErrRejected,
	} {
		for text, err := range map[string]error{
			"the order is shipped: it stays": fmt.Errorf("the order is shipped: it stays: %w", class),
			"why: inner":                     fmt.Errorf("why: %w", fmt.Errorf("inner: %w", class)),
			class.Error():                    class,
		} {
			answer = err
			_, err := client.PlaceOrder(t.Context(), placeOrder())
			var ce *connect.Error
			if !errors.As(err, &ce) || ce.Message() != text {
				t.Errorf("%v goes out as %v; want %q", answer, err, text)
			}
		}
	}
}

func (c refusedCase) check(t *testing.T, err error) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) || ce.Code() != c.code {
		t.Fatalf("error = %v; want %v", err, c.code)
	}
	info := detailOf[*errdetails.ErrorInfo](ce)
	if info.GetReason() != string(c.reason) || info.GetDomain() != "spillway" || info.GetMetadata()[c.metadata[0]] != c.metadata[1] {
		t.Errorf("ErrorInfo = %v; want reason %s and metadata %s", info, c.reason, c.metadata)
	}
	if id := info.GetMetadata()[metaRequestID]; id == "" || id != ce.Meta().Get(requestid.Header) {
		t.Errorf("the request id is %q in the ErrorInfo and %q in the header", id, ce.Meta().Get(requestid.Header))
	}
	wantSeconds := ""
	if c.retry > 0 {
		wantSeconds = strconv.Itoa(int(c.retry.Seconds()))
	}
	if got := detailOf[*errdetails.RetryInfo](ce).GetRetryDelay().AsDuration(); got != c.retry || ce.Meta().Get("Retry-After") != wantSeconds {
		t.Errorf("RetryInfo %s, Retry-After %q; want %s", got, ce.Meta().Get("Retry-After"), c.retry)
	}
	if c.detail != nil && !slices.ContainsFunc(ce.Details(), func(d *connect.ErrorDetail) bool {
		got, err := d.Value()
		return err == nil && proto.Equal(got, c.detail)
	}) {
		t.Errorf("details = %v; want %v", ce.Details(), c.detail)
	}
	if ce.Meta().Get("X-Inside") != "" {
		t.Error("a header of another service's response is passed on")
	}
	if c.hidden && strings.Contains(err.Error(), secretText) {
		t.Errorf("the text left the server: %v", err)
	}
}

// detailOf is the error's detail of the type, or nil.
func detailOf[T proto.Message](ce *connect.Error) (found T) {
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if m, ok := v.(T); ok {
				return m
			}
		}
	}
	return found
}

// fromWire is an error as a client of another service gets it.
func fromWire(code connect.Code) error {
	err := connect.NewWireError(code, errors.New(secretText))
	err.Meta().Set("X-Inside", secretText)
	return err
}

func TestEdge_UnforeseenErrorIsLoggedUnderItsRequestID(t *testing.T) {
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, errors.New(secretText)
	}}})
	client := spillwayv1connect.NewCheckoutServiceClient(e.client, e.url, bearer(e.token(t, "c")))
	_, err := client.PlaceOrder(t.Context(), placeOrder())
	var ce *connect.Error
	if !errors.As(err, &ce) {
		t.Fatalf("error = %v", err)
	}
	id := ce.Meta().Get(requestid.Header)
	if id == "" || !strings.Contains(ce.Message(), id) || !strings.Contains(e.log.String(), "request_id="+id) {
		t.Errorf("%q does not contain the request id %q, or the log does not:\n%s", err, id, e.log)
	}
}

func TestRecovered_PanicIsAnInternalError(t *testing.T) {
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		panic(secretText)
	}}})
	client := spillwayv1connect.NewCheckoutServiceClient(e.client, e.url, bearer(e.token(t, "c")))
	_, err := client.PlaceOrder(t.Context(), placeOrder())
	if connect.CodeOf(err) != connect.CodeInternal || strings.Contains(err.Error(), secretText) {
		t.Errorf("error = %v; want internal without the panic's text", err)
	}
	if !strings.Contains(e.log.String(), "stack=") {
		t.Error("the panic's stack is not in the log")
	}
}

// TestRecovered_LogHoldsNoRequest: a panic with the text of a request, which has the card, logs its type only; a runtime error logs its text.
func TestRecovered_LogHoldsNoRequest(t *testing.T) {
	for name, c := range map[string]struct {
		panics func(*spillwayv1.PlaceOrderRequest)
		logged string
	}{
		"text":          {func(req *spillwayv1.PlaceOrderRequest) { panic("cannot place " + req.String()) }, "panic=string"},
		"error":         {func(req *spillwayv1.PlaceOrderRequest) { panic(fmt.Errorf("cannot place %v", req)) }, "panic=*"},
		"runtime error": {func(req *spillwayv1.PlaceOrderRequest) { _ = req.GetLines()[len(req.GetLines())] }, "index out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			e := startServer(t, Services{Checkout: fakeCheckout{
				place: func(_ context.Context, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
					c.panics(req)
					return nil, nil
				},
			}})
			req := placeOrder()
			_, err := spillwayv1connect.NewCheckoutServiceClient(e.client, e.url, bearer(e.token(t, "c"))).PlaceOrder(t.Context(), req)
			if connect.CodeOf(err) != connect.CodeInternal {
				t.Errorf("error = %v; want internal", err)
			}
			log := e.log.String()
			if !strings.Contains(log, c.logged) || !strings.Contains(log, "stack=") {
				t.Errorf("the log has no %q, or no stack: %s", c.logged, log)
			}
			for _, secret := range []string{req.GetCard().GetNumber(), req.GetEmail()} {
				if secret == "" || strings.Contains(log, secret) {
					t.Errorf("the log holds %q of the request: %s", secret, log)
				}
			}
		})
	}
}
