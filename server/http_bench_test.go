package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// benchBody is the body of a usual PlaceOrder.
const benchBody = `{"currencyCode":"EUR","email":"a@example.com","shippingAddress":{"name":"A","street":"S 1","city":"Berlin",` +
	`"postalCode":"10115","countryCode":"DE"},"card":{"number":"4242424242424242","cvv":"123","expiryYear":2090,"expiryMonth":1},` +
	`"lines":[{"sku":"BENCH-abcdefghij","quantity":1}]}`

// discardWriter is an http.ResponseWriter that keeps nothing but the status and the length.
type discardWriter struct {
	header http.Header
	status int
	bytes  int
}

func (w *discardWriter) Header() http.Header { return w.header }

func (w *discardWriter) WriteHeader(status int) { w.status = status }

func (w *discardWriter) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

func (w *discardWriter) WriteString(s string) (int, error) {
	w.bytes += len(s)
	return len(s), nil
}

// benchResponse is a usual response of PlaceOrder.
func benchResponse() *spillwayv1.PlaceOrderResponse {
	money := &spillwayv1.Money{CurrencyCode: "EUR", Units: 1, Nanos: 990_000_000}
	now := time.Now().Truncate(time.Microsecond)
	id := string(order.NewID(0, now))
	return &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{
		Id: id, CustomerId: string(auth.NewGuest()), State: spillwayv1.OrderState_ORDER_STATE_PAID,
		Lines:      []*spillwayv1.OrderLine{{Sku: "BENCH-abcdefghij", Name: "Bench product", Quantity: 1, UnitPrice: money, Total: money}},
		ItemsTotal: money, ShippingTotal: money, Total: money, Email: "a@example.com",
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		TrackingId:      "SPW" + id, CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now),
	}}
}

// benchPlaceOrder calls PlaceOrder of the handler as an HTTP/1.1 server does, without the network.
func benchPlaceOrder(b *testing.B, h http.Handler, token string, wantStatus int) {
	b.Helper()
	body := strings.NewReader(benchBody)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://127.0.0.1"+placeProcedure, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Body, req.ContentLength, req.RemoteAddr = io.NopCloser(body), int64(len(benchBody)), "127.0.0.1:40000"
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set(keyHeader, "bench-1")
	w := &discardWriter{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(benchBody)
		clear(w.header)
		w.status = http.StatusOK
		h.ServeHTTP(w, req)
		if w.status != wantStatus {
			b.Fatalf("status = %d", w.status)
		}
	}
}

// BenchmarkHandler_PlaceOrder measures all that surrounds an order: middleware, interceptors, codecs and Connect. bare is Connect without
// any of ours, with its own codec.
func BenchmarkHandler_PlaceOrder(b *testing.B) {
	tokens, err := auth.NewTokens(bytes.Repeat([]byte("k"), auth.MinKeyBytes))
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: auth.NewGuest()}, auth.GuestTTL)
	if err != nil {
		b.Fatal(err)
	}
	resp := benchResponse()
	accepts := fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return resp, nil
	}}
	refuses := fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, &order.SoldOutError{Shortages: []order.Shortage{{SKU: "BENCH-abcdefghij", Requested: 1, Available: 0}}}
	}}
	traced, err := otelconnect.NewInterceptor(otelconnect.WithTrustRemote())
	if err != nil {
		b.Fatal(err)
	}
	results, err := NewCheckoutMetrics()
	if err != nil {
		b.Fatal(err)
	}
	// Telemetry that exports nothing, as app sets it up.
	cfg := Config{Tokens: tokens, Log: slog.New(slog.DiscardHandler), Interceptors: []connect.Interceptor{traced, results.Interceptor()}}
	b.Run("bare", func(b *testing.B) {
		_, h := spillwayv1connect.NewCheckoutServiceHandler(accepts)
		benchPlaceOrder(b, h, token, http.StatusOK)
	})
	b.Run("accepted", func(b *testing.B) {
		benchPlaceOrder(b, NewHandler(cfg, Services{Checkout: accepts}), token, http.StatusOK)
	})
	b.Run("sold out", func(b *testing.B) {
		benchPlaceOrder(b, NewHandler(cfg, Services{Checkout: refuses}), token, http.StatusBadRequest)
	})
}

func BenchmarkContentTypeError(b *testing.B) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://127.0.0.1"+placeProcedure, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		if text := contentTypeError(req); text != "" {
			b.Fatal(text)
		}
	}
}
