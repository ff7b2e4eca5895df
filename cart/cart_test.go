package cart_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

type stubClosedBreaker struct{}

func (stubClosedBreaker) Permit() error { return nil }
func (stubClosedBreaker) Report(error)  {}

func onBoth(t *testing.T, test func(t *testing.T, c *cart.Carts)) {
	for name, addr := range map[string]func(t *testing.T) string{
		"redis":     func(t *testing.T) string { return realparts.Redis(t) },
		"miniredis": func(t *testing.T) string { return miniredis.RunT(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr(t)}, DisableCache: true, ForceSingleClient: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			test(t, cart.New("test-"+rand.Text(), client, stubClosedBreaker{}))
		})
	}
}

func TestCarts_Changes(t *testing.T) {
	onBoth(t, func(t *testing.T, c *cart.Carts) {
		ctx := t.Context()
		if got, err := c.Get(ctx, "c1"); err != nil || len(got.Items) != 0 || !got.Expires.IsZero() {
			t.Errorf("no cart = %+v, %v; want an empty one", got, err)
		}
		for range 2 {
			if _, err := c.Add(ctx, "c1", order.Demand{SKU: "B", Quantity: 2}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.Add(ctx, "c1", order.Demand{SKU: "A", Quantity: 1})
		want := []order.Demand{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 4}}
		if err != nil || !slices.Equal(got.Items, want) || got.Expires.IsZero() {
			t.Errorf("cart = %+v, %v; want %v with an end", got, err, want)
		}
		if got, err := c.Get(ctx, "c2"); err != nil || len(got.Items) != 0 {
			t.Errorf("another customer sees %+v, %v", got, err)
		}
		if err := c.EmptyIf(ctx, "c1", want[:1]); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.Get(ctx, "c1"); len(got.Items) != 2 {
			t.Errorf("a cart that changed since was emptied: %+v", got)
		}
		if err := c.EmptyIf(ctx, "c1", want); err != nil {
			t.Fatal(err)
		}
		if got, _ := c.Get(ctx, "c1"); len(got.Items) != 0 {
			t.Errorf("the cart was not emptied: %+v", got)
		}
	})
}

func TestCarts_Bounds(t *testing.T) {
	onBoth(t, func(t *testing.T, c *cart.Carts) {
		if _, err := c.Set(t.Context(), "c", order.Demand{SKU: "A", Quantity: order.MaxQuantity}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Add(t.Context(), "c", order.Demand{SKU: "A", Quantity: 1}); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("one more than fit: %v; want ErrInvalid", err)
		}
		for i := range order.MaxLines - 1 {
			if _, err := c.Add(t.Context(), "c", order.Demand{SKU: order.SKU(fmt.Sprint(i)), Quantity: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Add(t.Context(), "c", order.Demand{SKU: "more", Quantity: 1}); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("one product more than fit: %v; want ErrInvalid", err)
		}
		if got, err := c.Set(t.Context(), "c", order.Demand{SKU: "A"}); err != nil || len(got.Items) != order.MaxLines-1 {
			t.Errorf("after taking one out: %d items, %v", len(got.Items), err)
		}
	})
}

// fakeBreaker counts the calls, and the failures that would open a breaker.
type fakeBreaker struct{ permits, reports, failures atomic.Int64 }

func (b *fakeBreaker) Permit() error { b.permits.Add(1); return nil }
func (b *fakeBreaker) Report(err error) {
	b.reports.Add(1)
	if err != nil && !errors.Is(err, breaker.ErrCallerLeft) {
		b.failures.Add(1)
	}
}

// TestCarts_CallerWithTinyDeadlineIsNoFailureOfRedis checks that a deadline that passes during the call is not counted
// as a failure.
func TestCarts_CallerWithTinyDeadlineIsNoFailureOfRedis(t *testing.T) {
	m, slow := miniredis.RunT(t), &atomic.Bool{}
	m.Server().SetPreHook(func(*server.Peer, string, ...string) bool {
		if slow.Load() {
			<-time.After(20 * time.Millisecond)
		}
		return false
	})
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{m.Addr()}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &fakeBreaker{}
	c := cart.New("test", client, b)
	slow.Store(true)
	for name, call := range map[string]func(ctx context.Context) error{
		"Get": func(ctx context.Context) error { _, err := c.Get(ctx, "c1"); return err },
		"Add": func(ctx context.Context) error {
			_, err := c.Add(ctx, "c1", order.Demand{SKU: "A", Quantity: 1})
			return err
		},
		"Empty":   func(ctx context.Context) error { return c.Empty(ctx, "c1") },
		"EmptyIf": func(ctx context.Context) error { return c.EmptyIf(ctx, "c1", nil) },
	} {
		for _, deadline := range []time.Duration{-time.Second, time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			if err := call(ctx); err == nil && deadline < 0 {
				t.Errorf("%s succeeded after its caller had left", name)
			}
			cancel()
		}
		if n := b.failures.Swap(0); n > 0 {
			t.Errorf("%s: %d failures were reported of callers that left", name, n)
		}
	}
	// On a busy machine the time of some callers is over before they call Redis.
	for until := time.Now().Add(time.Minute); b.reports.Load() == 0 && time.Now().Before(until); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, _ = c.Get(ctx, "c1")
		cancel()
	}
	if b.reports.Load() == 0 || b.failures.Load() > 0 || b.permits.Load() != b.reports.Load() {
		t.Errorf("%d permits, %d reports, %d of them failures", b.permits.Load(), b.reports.Load(), b.failures.Load())
	}
}

// TestCarts_FullCartIsNoFailureOfRedis checks that a rejection by the script is not counted as a failure.
func TestCarts_FullCartIsNoFailureOfRedis(t *testing.T) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{miniredis.RunT(t).Addr()}, DisableCache: true, ForceSingleClient: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &fakeBreaker{}
	_, err = cart.New("test", client, b).Add(t.Context(), "c1", order.Demand{SKU: "A", Quantity: order.MaxQuantity + 1})
	if !errors.Is(err, order.ErrInvalid) || b.failures.Load() > 0 {
		t.Errorf("got %v and %d failures", err, b.failures.Load())
	}
}
