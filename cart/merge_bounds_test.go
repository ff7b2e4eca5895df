package cart

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func lines(prefix string) (out []order.Demand) {
	for n := range order.MaxLines {
		out = append(out, order.Demand{SKU: order.SKU(fmt.Sprintf("%s%02d", prefix, n)), Quantity: 1})
	}
	return out
}

// TestCarts_Merge_GuestCartIsBounded: who puts another cart together while the one before is on its way, again and again, has no cart without end.
func TestCarts_Merge_GuestCartIsBounded(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		ctx := t.Context()
		c.fill(t, "c", lines("C")...)
		c.fill(t, "g", lines("A")...)
		for _, meanwhile := range []string{"B", "D", "E"} {
			if _, _, err := c.take(ctx, "g", meanwhile); err != nil {
				t.Fatal(err)
			}
			c.fill(t, "g", lines(meanwhile)...)
			if _, _, err := c.Merge(ctx, "g", "c"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := c.Get(ctx, "g"); err != nil || len(got.Items) < order.MaxLines || len(got.Items) > 2*order.MaxLines {
			t.Errorf("the guest's cart has %d lines (%v); want those of two carts at most", len(got.Items), err)
		}
	})
}

// TestCarts_Merge_LeavesNothingForLong: a customer who merges without end does not fill Redis with what finished moves leave behind.
func TestCarts_Merge_LeavesNothingForLong(t *testing.T) {
	mergeOnBoth(t, func(t *testing.T, c *Carts) {
		ctx := t.Context()
		c.fill(t, "g", order.Demand{SKU: "A", Quantity: 1})
		if _, _, err := c.Merge(ctx, "g", "c"); err != nil {
			t.Fatal(err)
		}
		keys, err := c.client.Do(ctx, c.client.B().Keys().Pattern("{"+c.namespace+":cart:*:mov*").Build()).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			left, err := c.client.Do(ctx, c.client.B().Pttl().Key(key).Build()).AsInt64()
			if err != nil || left < 0 || time.Duration(left)*time.Millisecond > time.Hour {
				t.Errorf("%s is kept for %s (%v); want an hour at most", key, time.Duration(left)*time.Millisecond, err)
			}
		}
		if len(keys) != 1 {
			t.Errorf("%d keys: %v; want that of the move", len(keys), keys)
		}
	})
}
