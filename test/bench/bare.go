package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// bareCmd serves the bare handler of the first measurement, in a process of its own like the real server.
type bareCmd struct {
	Listen string `required:"" help:"Where to listen."`
}

// headerTimeout is that of the real server.
const headerTimeout = 5 * time.Second

// Run serves until ctx ends.
func (c *bareCmd) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewCheckoutServiceHandler(bareCheckout{order: fixedOrder()}))
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return serve(ctx, c.Listen, mux)
}

// serve serves HTTP until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// bareCheckout returns a fixed response and does nothing else.
type bareCheckout struct {
	spillwayv1connect.UnimplementedCheckoutServiceHandler
	order *spillwayv1.Order
}

// PlaceOrder returns the same order to every caller.
func (b bareCheckout) PlaceOrder(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	return &spillwayv1.PlaceOrderResponse{Order: b.order}, nil
}

// fixedOrder returns an order of the size of a real response.
func fixedOrder() *spillwayv1.Order {
	money := &spillwayv1.Money{CurrencyCode: "EUR", Units: 1, Nanos: 990_000_000}
	now := time.Now()
	id := string(order.NewID(0, now))
	return &spillwayv1.Order{
		Id: id, CustomerId: string(auth.NewGuest()), State: spillwayv1.OrderState_ORDER_STATE_PAID,
		Lines:      []*spillwayv1.OrderLine{{Sku: newSKU(), Name: productName, Quantity: 1, UnitPrice: money, Total: money}},
		ItemsTotal: money, ShippingTotal: money, Total: money, Email: "a@example.com",
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		TrackingId:      "SPW" + id, CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now),
	}
}

// runBare measures HTTP, Connect, JSON and the load generator by themselves.
func runBare(ctx context.Context, r *run, _ *build) ([]row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := r.stage.start(ctx, "bare", self, r.stage.environment(), "bare")
	if err != nil {
		return nil, err
	}
	tokens, err := guests(rand.Text() + rand.Text())
	if err != nil {
		return nil, err
	}
	m := r.newMeter()
	defer m.close()
	m.process(nameServe, c)
	o, err := r.load().run(ctx, shoppers(c.addr, tokens, oneLine(newSKU())))
	return []row{measured(rowBare, o).withCPU(m, o)}, errors.Join(err, c.stop())
}
