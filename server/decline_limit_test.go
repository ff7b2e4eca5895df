package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// sharedCounter is an EventCounter in memory, which several limits share.
type sharedCounter struct {
	mu     sync.Mutex
	counts map[string]int64
	err    error
}

func (c *sharedCounter) Count(_ context.Context, key string, window time.Duration) (int64, time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	c.counts[key]++
	return c.counts[key], window, c.err
}

const insufficientCard = "4000000000009995"

// TestPlaceOrder_CardTestsAreBounded tests cards as many guests from one address, through two processes at once. Only a few reach the provider, without
// a reason of the decline, while a buyer at another address is served.
func TestPlaceOrder_CardTestsAreBounded(t *testing.T) {
	const perCustomer, perAddress, processes = 3, 10, 2
	s := openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))
	shared := &sharedCounter{}
	var shops []*Checkout
	for range processes {
		o := s.checkout
		shops = append(shops, &Checkout{
			Prices: o.Prices, Carts: o.Carts, Rates: o.Rates, Shipping: o.Shipping, Payments: o.Payments, Stock: o.Stock, Orders: o.Orders,
			Durable: o.Durable, Reader: o.Reader, Log: o.Log, PayWithin: o.PayWithin, Now: o.Now,
			Declines: NewDeclineLimits(DeclineConfig{PerCustomer: perCustomer, PerAddress: perAddress, Shared: shared, Log: discardLog}),
		})
	}
	place := func(process int, addr string, customer order.CustomerID, key, card string) error {
		_, err := shops[process].PlaceOrder(from(as(t.Context(), customer), addr), placeRequest(key, card))
		return err
	}
	for i := range 70 {
		guest := order.CustomerID(fmt.Sprintf("guest_%d", i/7))
		err := place(i%processes, "198.51.100.1", guest, fmt.Sprint("k", i), insufficientCard)
		var declined *order.DeclinedError
		if errors.As(err, &declined) && declined.Code != order.DeclineGeneric {
			t.Fatalf("a guest learns %q", declined.Code)
		}
		if i == 6 {
			wantLimit(t, err, order.LimitCustomerDeclines)
		}
		if i == 69 {
			wantLimit(t, err, order.LimitAddressDeclines)
		}
	}
	if n := s.provider.Charges.Load(); n > perAddress+processes {
		t.Errorf("%d cards were tested; want %d at most, and one more for each process", n, perAddress)
	}
	if n := s.left(t); n != 100 {
		t.Errorf("%d units are left, want 100", n)
	}
	for i := range processes {
		if err := place(i, "198.51.100.2", "guest_buyer", fmt.Sprint("buy", i), goodCard); err != nil {
			t.Errorf("a buyer at another address: %v", err)
		}
	}
	// What was ordered before is still found, by its key.
	if err := place(0, "198.51.100.1", "guest_buyer", "buy0", goodCard); err != nil {
		t.Errorf("the retry of an order at the address: %v", err)
	}
	if err := place(0, "198.51.100.1", "guest_buyer", "other", goodCard); err == nil {
		t.Error("a new order at the address is taken")
	}
}

// TestPlaceOrder_RetryBeyondTheDeclineLimit: an order with an unknown charge is PENDING. Its retry gets it, and its card is not charged once more.
func TestPlaceOrder_RetryBeyondTheDeclineLimit(t *testing.T) {
	s := openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))
	s.checkout.Declines = NewDeclineLimits(DeclineConfig{PerCustomer: 1, Log: discardLog})
	ctx := as(t.Context(), "c1")
	placed, err := s.checkout.PlaceOrder(ctx, placeRequest("k", "4000000000000036")) // The provider is down.
	if err != nil || placed.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
		t.Fatalf("got %v, %v; want it PENDING", placed, err)
	}
	var declined *order.DeclinedError
	if _, err := s.checkout.PlaceOrder(ctx, placeRequest("declined", insufficientCard)); !errors.As(err, &declined) {
		t.Fatalf("got %v; want a decline", err)
	}
	charges := s.provider.Charges.Load()
	again, err := s.checkout.PlaceOrder(ctx, placeRequest("k", goodCard))
	if err != nil || again.GetOrder().GetId() != placed.GetOrder().GetId() {
		t.Errorf("the retry: %v, %v; want its order", again, err)
	}
	if n := s.provider.Charges.Load(); n != charges {
		t.Errorf("%d cards were charged by the retry; want none", n-charges)
	}
}

// TestPayOrder_CardTestsAreBounded: the limit counts the cards of an order that is paid later, and those of a customer with an account, who gets the reason.
func TestPayOrder_CardTestsAreBounded(t *testing.T) {
	s := openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))
	s.checkout.Declines = NewDeclineLimits(DeclineConfig{PerCustomer: 2, Log: discardLog})
	ctx := from(as(t.Context(), "c1"), "198.51.100.1")
	placed, err := s.checkout.PlaceOrder(ctx, placeRequest("k", ""))
	if err != nil {
		t.Fatal(err)
	}
	pay := func(card string) error {
		_, err := s.checkout.PayOrder(ctx, &spillwayv1.PayOrderRequest{OrderId: placed.GetOrder().GetId(), Card: testCard(card)})
		return err
	}
	for range 2 {
		var declined *order.DeclinedError
		if err := pay(insufficientCard); !errors.As(err, &declined) || declined.Code != "insufficient_funds" {
			t.Fatalf("got %v", err)
		}
	}
	wantLimit(t, pay(goodCard), order.LimitCustomerDeclines)
	if n := s.provider.Charges.Load(); n != 2 {
		t.Errorf("%d cards were charged, want 2", n)
	}
}
