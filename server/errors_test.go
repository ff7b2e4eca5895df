package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
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

func TestErrorsBecomeConnectErrors(t *testing.T) {
	var answer error
	e := startServer(t, Services{Checkout: checkoutFunc{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, answer
	}}})
	cases := map[string]struct {
		err    error
		code   connect.Code
		detail proto.Message
		// hides says that the error's text stays inside.
		hides bool
	}{
		"invalid":    {err: fmt.Errorf("currency: %w", order.ErrInvalid), code: connect.CodeInvalidArgument},
		"not found":  {err: fmt.Errorf("product: %w", order.ErrNotFound), code: connect.CodeNotFound},
		"exists":     {err: fmt.Errorf("product: %w", order.ErrAlreadyExists), code: connect.CodeAlreadyExists},
		"key reused": {err: order.ErrKeyReused, code: connect.CodeAlreadyExists},
		"state":      {err: fmt.Errorf("cart: %w", order.ErrFailedPrecondition), code: connect.CodeFailedPrecondition},
		"sold out": {
			err: &order.SoldOutError{Shortages: []order.Shortage{{SKU: "A", Requested: 3, Available: 2}}}, code: connect.CodeFailedPrecondition,
			detail: &spillwayv1.SoldOut{Items: []*spillwayv1.SoldOutItem{{Sku: "A", Requested: 3, Available: 2}}},
		},
		"declined": {
			err: &order.DeclinedError{OrderID: "O", Code: "lost_card"}, code: connect.CodeFailedPrecondition,
			detail: &spillwayv1.PaymentDeclined{OrderId: "O", DeclineCode: "lost_card"},
		},
		"declined, to be paid with another card": {
			err:  &order.DeclinedError{OrderID: "O", Code: "lost_card", PayUntil: time.Unix(60, 0)},
			code: connect.CodeFailedPrecondition,
			detail: &spillwayv1.PaymentDeclined{
				OrderId: "O", DeclineCode: "lost_card", ExpireTime: &timestamppb.Timestamp{Seconds: 60},
			},
		},
		"price changed": {
			err: &order.PriceChangedError{
				Expected: order.Money{Currency: "EUR", Amount: 1894}, Actual: order.Money{Currency: "EUR", Amount: 11586},
			},
			code: connect.CodeFailedPrecondition,
			detail: &spillwayv1.PriceChanged{
				Expected: &spillwayv1.Money{CurrencyCode: "EUR", Units: 18, Nanos: 940_000_000},
				Actual:   &spillwayv1.Money{CurrencyCode: "EUR", Units: 115, Nanos: 860_000_000},
			},
		},
		"limit of units": {
			err:  fmt.Errorf("reserve: %w", &order.LimitError{Limit: order.LimitOrderUnits, Maximum: 10, SKU: "A"}),
			code: connect.CodeFailedPrecondition, detail: &spillwayv1.LimitExceeded{Limit: "units_per_order", Maximum: 10, Sku: "A"},
		},
		"limit of a rate": {
			err: &order.LimitError{Limit: order.LimitSessions, Maximum: 30, After: 2 * time.Second}, code: connect.CodeResourceExhausted,
			detail: &spillwayv1.LimitExceeded{Limit: "sessions_per_address", Maximum: 30, RetryDelay: durationpb.New(2 * time.Second)},
		},
		"busy":            {err: &order.RetryError{After: time.Second, Err: order.ErrOverloaded}, code: connect.CodeResourceExhausted, detail: &spillwayv1.RetryInfo{}},
		"unavailable":     {err: fmt.Errorf("%s: %w", secretText, order.ErrUnavailable), code: connect.CodeUnavailable, detail: &spillwayv1.RetryInfo{}, hides: true},
		"unknown outcome": {err: fmt.Errorf("%s: %w", secretText, order.ErrUnknownOutcome), code: connect.CodeUnavailable, hides: true},
		"deadline":        {err: fmt.Errorf("x: %w", context.DeadlineExceeded), code: connect.CodeDeadlineExceeded},
		"cancelled":       {err: fmt.Errorf("x: %w", context.Canceled), code: connect.CodeCanceled},
		"unforeseen":      {err: errors.New(secretText), code: connect.CodeInternal, hides: true},
		"of another service, that was away": {
			err:  fmt.Errorf("%w: %w", order.ErrUnavailable, fromWire(connect.CodeUnavailable)),
			code: connect.CodeUnavailable, detail: &spillwayv1.RetryInfo{}, hides: true,
		},
		"of another service, unforeseen": {err: fromWire(connect.CodeInternal), code: connect.CodeInternal, hides: true},
	}
	token := e.token(t, "c")
	for protocol, p := range protocols(h2cClient(t), e.client) {
		client := spillwayv1connect.NewCheckoutServiceClient(p.client, e.url, append(p.opts, bearer(token))...)
		for name, c := range cases {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				answer = c.err
				_, err := client.PlaceOrder(t.Context(), placeOrder())
				checkError(t, err, c.code, c.detail)
				if c.hides && strings.Contains(err.Error(), secretText) {
					t.Errorf("the text left the server: %v", err)
				}
			})
		}
	}
	if !strings.Contains(e.log.String(), secretText) {
		t.Error("what is not sent is not logged either")
	}
}

// TestTranslate_TextWithoutItsClass: the text that clients get does not end with that of the sentinel, which the code stands for.
func TestTranslate_TextWithoutItsClass(t *testing.T) {
	var answer error
	e := startServer(t, Services{Checkout: checkoutFunc{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
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

// fromWire is an error as a client of another service gets it.
func fromWire(code connect.Code) error {
	err := connect.NewWireError(code, errors.New(secretText))
	err.Meta().Set("X-Inside", secretText)
	return err
}

func checkError(t *testing.T, err error, code connect.Code, detail proto.Message) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) || ce.Code() != code {
		t.Fatalf("error = %v; want %v", err, code)
	}
	if _, ok := detail.(*spillwayv1.RetryInfo); ok && ce.Meta().Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q; want 1 second", ce.Meta().Get("Retry-After"))
	}
	if ce.Meta().Get("X-Inside") != "" {
		t.Error("a header of another service's answer was passed on")
	}
	if detail == nil {
		return
	}
	for _, d := range ce.Details() {
		got, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		if retry, ok := got.(*spillwayv1.RetryInfo); ok && retry.GetRetryDelay().AsDuration() == time.Second {
			return
		}
		if proto.Equal(got, detail) {
			return
		}
	}
	t.Errorf("details = %v; want %v", ce.Details(), detail)
}

func TestAnUnforeseenErrorIsFoundInTheLogByItsID(t *testing.T) {
	e := startServer(t, Services{Checkout: checkoutFunc{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, errors.New(secretText)
	}}})
	client := spillwayv1connect.NewCheckoutServiceClient(e.client, e.url, bearer(e.token(t, "c")))
	_, err := client.PlaceOrder(t.Context(), placeOrder())
	if err == nil {
		t.Fatal("no error")
	}
	for word := range strings.FieldsSeq(e.log.String()) {
		if id, ok := strings.CutPrefix(word, "error_id="); ok && strings.Contains(err.Error(), id) {
			return
		}
	}
	t.Errorf("%q names no error_id of the log:\n%s", err, e.log)
}

func TestAPanicIsAnInternalError(t *testing.T) {
	e := startServer(t, Services{Checkout: checkoutFunc{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
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
