package cart

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

type stubClosedBreaker struct{}

func (stubClosedBreaker) Permit() error { return nil }
func (stubClosedBreaker) Report(error)  {}

// mergeOnBoth tests on both kinds of Redis, with carts of a guest "g" and a customer "c".
func mergeOnBoth(t *testing.T, test func(t *testing.T, c *Carts)) {
	t.Helper()
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
			test(t, New("test-"+rand.Text(), client, stubClosedBreaker{}))
		})
	}
}

func (c *Carts) fill(t *testing.T, who order.CustomerID, items ...order.Demand) {
	t.Helper()
	for _, d := range items {
		if _, err := c.Add(t.Context(), who, d); err != nil {
			t.Fatal(err)
		}
	}
}

// holds fails the test unless the cart has exactly these items.
func (c *Carts) holds(t *testing.T, who order.CustomerID, want ...order.Demand) {
	t.Helper()
	got, err := c.Get(t.Context(), who)
	if err != nil || !slices.Equal(got.Items, want) {
		t.Errorf("the cart of %s: %v, %v; want %v", who, got.Items, err, want)
	}
	if len(want) > 0 && got.Expires.IsZero() {
		t.Errorf("the cart of %s never expires", who)
	}
}

func TestCarts_Merge(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		c.fill(t, "g", order.Demand{SKU: "A", Quantity: 2}, order.Demand{SKU: "B", Quantity: 1})
		c.fill(t, "c", order.Demand{SKU: "B", Quantity: 3}, order.Demand{SKU: "D", Quantity: 1})
		want := []order.Demand{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 4}, {SKU: "D", Quantity: 1}}
		for range 3 {
			got, left, err := c.Merge(t.Context(), "g", "c")
			if err != nil || len(left) != 0 || !slices.Equal(got.Items, want) {
				t.Fatalf("%v, left out %v, %v; want %v", got.Items, left, err, want)
			}
		}
		c.holds(t, "g")
		c.fill(t, "g", order.Demand{SKU: "A", Quantity: 1}) // In another tab, which is still the guest's.
		if _, _, err := c.Merge(t.Context(), "g", "c"); err != nil {
			t.Fatal(err)
		}
		want[0].Quantity = 3
		c.holds(t, "c", want...)
		c.holds(t, "g")
	})
}

// TestCarts_Merge_Bounds checks that what does not fit stays with the guest, however often the merge is repeated.
func TestCarts_Merge_Bounds(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		c.fill(t, "c", order.Demand{SKU: "A", Quantity: order.MaxQuantity - 1})
		for n := range order.MaxLines - 2 {
			c.fill(t, "c", order.Demand{SKU: order.SKU(fmt.Sprintf("L%02d", n)), Quantity: 1})
		}
		c.fill(t, "g", order.Demand{SKU: "A", Quantity: 3}, order.Demand{SKU: "X", Quantity: 1}, order.Demand{SKU: "Y", Quantity: 5})
		for range 2 {
			got, left, err := c.Merge(t.Context(), "g", "c")
			units := 0
			for _, d := range got.Items {
				units += d.Quantity
			}
			moved := units - (order.MaxQuantity - 1) - (order.MaxLines - 2)
			if err != nil || len(got.Items) != order.MaxLines || moved != 2 && moved != 6 {
				t.Fatalf("%d lines, %d units moved, %v; want %d lines, with one of A, and X or Y", len(got.Items), moved, err, order.MaxLines)
			}
			for _, d := range got.Items {
				if d.Quantity > order.MaxQuantity {
					t.Errorf("%d units of %s", d.Quantity, d.SKU)
				}
			}
			slices.SortFunc(left, func(a, b order.Demand) int { return len(b.SKU) - len(a.SKU) })
			c.holds(t, "g", left...)
			if len(left) != 2 || left[0] != (order.Demand{SKU: "A", Quantity: 2}) {
				t.Errorf("left out %v; want 2 of A, and X or Y", left)
			}
		}
	})
}

// TestCarts_Merge_HalfWay ends a merge after each of its steps. The next one completes it and moves what the guest has put in since; nothing is lost or added twice.
func TestCarts_Merge_HalfWay(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		ctx := t.Context()
		a := order.Demand{SKU: "A", Quantity: 2}
		for name, until := range map[string]func(guest, customer order.CustomerID) error{
			"taken": func(guest, _ order.CustomerID) error { _, _, err := c.take(ctx, guest, rand.Text()); return err },
			"put": func(guest, customer order.CustomerID) error {
				move, items, err := c.take(ctx, guest, rand.Text())
				if err == nil {
					_, err = c.put(ctx, customer, move, items)
				}
				return err
			},
		} {
			guest, customer := order.CustomerID("g-"+name), order.CustomerID("c-"+name)
			c.fill(t, guest, a)
			if err := until(guest, customer); err != nil {
				t.Fatal(err)
			}
			c.fill(t, guest, order.Demand{SKU: "B", Quantity: 1})
			if _, left, err := c.Merge(ctx, guest, customer); err != nil || len(left) != 0 {
				t.Fatalf("%s: left out %v, %v", name, left, err)
			}
			c.holds(t, customer, a, order.Demand{SKU: "B", Quantity: 1})
			c.holds(t, guest)
		}
	})
}

// TestCarts_Merge_SlowCaller lets a merge go on, step by step, after others have completed it and a new cart is on its way.
func TestCarts_Merge_SlowCaller(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		ctx := t.Context()
		a, b := order.Demand{SKU: "A", Quantity: 2}, order.Demand{SKU: "B", Quantity: 1}
		c.fill(t, "g", a)
		slow, items, err := c.take(ctx, "g", rand.Text())
		if err == nil {
			_, _, err = c.Merge(ctx, "g", "c")
		}
		if err != nil {
			t.Fatal(err)
		}
		c.fill(t, "g", b)
		if _, _, err := c.take(ctx, "g", rand.Text()); err != nil {
			t.Fatal(err)
		}
		left, err := c.put(ctx, "c", slow, items)
		if err == nil {
			err = c.endMove(ctx, "g", "c", slow, left)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.holds(t, "c", a)
		if _, _, err := c.Merge(ctx, "g", "c"); err != nil {
			t.Fatal(err)
		}
		c.holds(t, "c", a, b)
	})
}

func TestCarts_Merge_Concurrent(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		for round := range 10 {
			guest, customer := order.CustomerID(fmt.Sprintf("g%d", round)), order.CustomerID(fmt.Sprintf("c%d", round))
			c.fill(t, guest, order.Demand{SKU: "A", Quantity: 2}, order.Demand{SKU: "B", Quantity: 1})
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					if _, _, err := c.Merge(context.WithoutCancel(t.Context()), guest, customer); err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
			c.holds(t, customer, order.Demand{SKU: "A", Quantity: 2}, order.Demand{SKU: "B", Quantity: 1})
			c.holds(t, guest)
		}
	})
}
