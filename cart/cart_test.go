package cart_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

type permit struct{}

func (permit) Permit() error { return nil }
func (permit) Report(error)  {}

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
			test(t, cart.New("test-"+rand.Text(), client, permit{}))
		})
	}
}

func TestCart(t *testing.T) {
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

func TestACartIsBounded(t *testing.T) {
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
