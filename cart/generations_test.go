package cart_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/order"
)

func add(t *testing.T, c *cart.Tracked, sku order.SKU) {
	t.Helper()
	if _, err := c.Add(t.Context(), "c1", order.Demand{SKU: sku, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, c *cart.Tracked) cart.Attempt {
	t.Helper()
	a, err := c.BeginOrder(t.Context(), "c1")
	if err != nil || a.Generation == "" {
		t.Fatalf("begin an order: %+v, %v", a, err)
	}
	return a
}

func end(t *testing.T, c *cart.Tracked, a cart.Attempt, outcome cart.Outcome) {
	t.Helper()
	if err := c.EndOrder(t.Context(), "c1", a, outcome); err != nil {
		t.Fatal(err)
	}
}

func units(t *testing.T, c *cart.Tracked) int {
	t.Helper()
	got, err := c.Get(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	return len(got.Items)
}

// TestTracked_OneGenerationUntilItChanges checks which orders of a cart have the same generation.
func TestTracked_OneGenerationUntilItChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, carts *cart.Carts) {
		c := carts.Tracked()
		add(t, c, "A")
		first := begin(t, c)
		if again := begin(t, c); again.Generation != first.Generation {
			t.Errorf("a retry has the generation %s, not %s", again, first)
		}
		end(t, c, first, cart.Released)
		if again := begin(t, c); again.Generation != first.Generation || units(t, c) != 1 {
			t.Errorf("after an order that was not made: %s with %d products; want %s with 1", again, units(t, c), first)
		}
		end(t, c, first, cart.Accepted)
		if units(t, c) != 0 {
			t.Error("the ordered cart was not emptied")
		}
		if again := begin(t, c); again.Generation != first.Generation {
			t.Errorf("a retry after the cart was emptied has the generation %s, not %s", again, first)
		}
		end(t, c, first, cart.Accepted)
		add(t, c, "A")
		second := begin(t, c)
		if second.Generation == first.Generation {
			t.Error("a cart that was filled again has the old generation")
		}
		end(t, c, second, cart.Refused)
		if third := begin(t, c); third.Generation == second.Generation || units(t, c) != 1 {
			t.Errorf("after a refusal: %s with %d products; want another generation than %s with 1", third, units(t, c), second)
		}
	})
}

// TestTracked_ChangeWhileOrdered checks that a cart that changes while it is ordered cannot be ordered meanwhile, and keeps its items.
func TestTracked_ChangeWhileOrdered(t *testing.T) {
	onBoth(t, func(t *testing.T, carts *cart.Carts) {
		c := carts.Tracked()
		add(t, c, "A")
		first := begin(t, c)
		add(t, c, "B")
		var retry *order.RetryError
		if _, err := c.BeginOrder(t.Context(), "c1"); !errors.Is(err, order.ErrRejected) || !errors.As(err, &retry) {
			t.Errorf("another order meanwhile: %v; want ErrRejected with a retry hint", err)
		}
		end(t, c, first, cart.Accepted)
		if units(t, c) != 2 {
			t.Errorf("%d products, want both", units(t, c))
		}
		if second := begin(t, c); second.Generation == first.Generation {
			t.Error("the changed cart has the old generation")
		}
	})
}

// TestTracked_FullCartKeepsItsGeneration checks that a change that is refused does not make the next order another one.
func TestTracked_FullCartKeepsItsGeneration(t *testing.T) {
	onBoth(t, func(t *testing.T, carts *cart.Carts) {
		c := carts.Tracked()
		add(t, c, "A")
		first := begin(t, c)
		if _, err := c.Add(t.Context(), "c1", order.Demand{SKU: "A", Quantity: order.MaxQuantity}); !errors.Is(err, order.ErrInvalid) {
			t.Fatalf("too many units: %v; want ErrInvalid", err)
		}
		if again := begin(t, c); again.Generation != first.Generation {
			t.Errorf("generation %s, want %s", again, first)
		}
	})
}

// TestTracked_ReleasedAttemptLeavesTheOthers: one of two orders of a cart is refused, such as by a limit, while the other one is being placed. The changed cart
// cannot be ordered before that one has ended, too.
func TestTracked_ReleasedAttemptLeavesTheOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, carts *cart.Carts) {
		c := carts.Tracked()
		add(t, c, "A")
		first, second := begin(t, c), begin(t, c)
		end(t, c, second, cart.Released)
		add(t, c, "B")
		if _, err := c.BeginOrder(t.Context(), "c1"); !errors.Is(err, order.ErrRejected) {
			t.Errorf("another order meanwhile: %v; want ErrRejected", err)
		}
		end(t, c, first, cart.Released)
		end(t, c, first, cart.Released) // It may end any number of times.
		if third := begin(t, c); third.Generation == first.Generation {
			t.Error("the changed cart has the old generation")
		}
	})
}
