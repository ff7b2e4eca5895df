package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

const (
	// watchers is the number of open streams: each customer watches an order that is not paid yet.
	watchers = maxGuests
	// watchCallers is the number of watched orders that are placed, or cancelled, at once.
	watchCallers = 32
	// eventTimeout is the maximum time until an event has come.
	eventTimeout = 20 * time.Second
)

// runWatchers measures accepting while draining, as accept_draining does, with open streams beside it; and then how soon each watcher gets
// the event that its order is cancelled.
func runWatchers(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b, "trusted-proxies=127.0.0.1/32")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sku, err := s.product(ctx, initialStock)
	if err != nil {
		return nil, err
	}
	crowd := s.newCrowd(sku)
	defer crowd.close()
	if err := crowd.each(ctx, crowd.open); err != nil {
		return nil, err
	}
	line, err := s.acceptDraining(ctx, rowWatchers, r.load(), oneLine(sku))
	if err != nil {
		return nil, err
	}
	if err := crowd.each(ctx, crowd.cancel); err != nil {
		return nil, err
	}
	line.EventP99 = crowd.eventP99()
	return []row{line}, s.settle(ctx)
}

// crowd is the watchers of one shop.
type crowd struct {
	shop      *shop
	sku       string
	transport *http.Transport
	orders    spillwayv1connect.OrderServiceClient
	checkout  spillwayv1connect.CheckoutServiceClient
	stop      []context.CancelFunc
	ids       []string
	events    []chan time.Time // when the order became CANCELLED
	began     []time.Time      // when it was cancelled
	ended     []time.Time
}

func (s *shop) newCrowd(sku string) *crowd {
	transport := &http.Transport{MaxIdleConnsPerHost: watchCallers}
	client := &http.Client{Transport: transport}
	c := &crowd{
		shop: s, sku: sku, transport: transport,
		orders:   spillwayv1connect.NewOrderServiceClient(client, "http://"+s.serve.addr),
		checkout: spillwayv1connect.NewCheckoutServiceClient(client, "http://"+s.serve.addr),
		stop:     make([]context.CancelFunc, watchers), ids: make([]string, watchers), events: make([]chan time.Time, watchers),
		began: make([]time.Time, watchers), ended: make([]time.Time, watchers),
	}
	return c
}

// each calls f for each watcher, some at once.
func (c *crowd) each(ctx context.Context, f func(ctx context.Context, i int) error) error {
	errs := make([]error, watchCallers)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < watchers && errs[w] == nil; i += watchCallers {
				errs[w] = f(ctx, i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// as returns a context of a call of the watcher's customer, from an address of its own: one address may not watch so many orders.
func (c *crowd) as(ctx context.Context, i int) context.Context {
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+c.shop.tokens[i])
	call.RequestHeader().Set("X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", i/250, i%250+1))
	return ctx
}

// open places an order without paying it, and watches it.
func (c *crowd) open(ctx context.Context, i int) error {
	placed, err := c.checkout.PlaceOrder(c.as(ctx, i), &spillwayv1.PlaceOrderRequest{
		Lines: []*spillwayv1.Line{{Sku: c.sku, Quantity: 1}}, CurrencyCode: "EUR", Email: "a@example.com",
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		IdempotencyKey:  fmt.Sprintf("watched-%d", i),
	})
	if err != nil {
		return fmt.Errorf("place a watched order: %w", err)
	}
	c.ids[i], c.events[i] = placed.GetOrder().GetId(), make(chan time.Time, 1)
	ctx, c.stop[i] = context.WithCancel(ctx)
	stream, err := c.orders.WatchOrder(c.as(ctx, i), &spillwayv1.WatchOrderRequest{OrderId: c.ids[i]})
	if err != nil {
		return err
	}
	if !stream.Receive() {
		return fmt.Errorf("watch an order: %w", stream.Err())
	}
	go func() {
		for stream.Receive() {
			if stream.Msg().GetOrder().GetState() == spillwayv1.OrderState_ORDER_STATE_CANCELLED {
				c.events[i] <- time.Now()
				return
			}
		}
	}()
	return nil
}

// cancel cancels the watched order and waits for the event.
func (c *crowd) cancel(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	c.began[i] = time.Now()
	if _, err := c.orders.CancelOrder(c.as(ctx, i), &spillwayv1.CancelOrderRequest{OrderId: c.ids[i]}); err != nil {
		return fmt.Errorf("cancel a watched order: %w", err)
	}
	select {
	case c.ended[i] = <-c.events[i]:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no event of order %s: %w", c.ids[i], ctx.Err())
	}
}

// eventP99 is the 99th percentile of the time from calling CancelOrder to the event.
func (c *crowd) eventP99() *float64 {
	all := make([]time.Duration, watchers)
	for i := range all {
		all[i] = c.ended[i].Sub(c.began[i])
	}
	sortLatencies(all)
	_, p99 := percentiles(all)
	return p99
}

// close ends the streams.
func (c *crowd) close() {
	for _, stop := range c.stop {
		if stop != nil {
			stop()
		}
	}
	c.transport.CloseIdleConnections()
}
