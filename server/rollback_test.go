package server

import (
	"errors"
	"testing"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

func (s *testShop) redisKeys(t *testing.T) []string {
	t.Helper()
	c := s.redis.Client()
	names, err := c.Do(t.Context(), c.B().Keys().Pattern("{"+s.keys.Namespace+":*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s *testShop) copyRedis(t *testing.T) map[string]string {
	t.Helper()
	c, out := s.redis.Client(), make(map[string]string)
	for _, name := range s.redisKeys(t) {
		dump, err := c.Do(t.Context(), c.B().Dump().Key(name).Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = dump
	}
	return out
}

// rollBack replaces what Redis holds of the shop by an older copy, as a promoted replica or a truncated append-only file does, and opens
// the next epoch.
func (s *testShop) rollBack(t *testing.T, older map[string]string) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.redisKeys(t)...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	for name, dump := range older {
		if err := c.Do(t.Context(), c.B().Restore().Key(name).Ttl(0).SerializedValue(rueidis.BinaryString([]byte(dump))).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPlaceOrder_RetryAfterARollback: the card was declined and the order released, which SQL has applied and Redis has lost. The retry
// with the same key finds the order pending in Redis. Nothing may be charged or given back a second time (I1, I6).
func TestPlaceOrder_RetryAfterARollback(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *testShop) {
		s.place(t, "before", goodCard) // Its counter is loaded.
		s.flush(t)
		var older map[string]string
		s.provider.during = func() { older = s.copyRedis(t) } // "Charge in flight".
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard)); err == nil {
			t.Fatal("the card was not declined")
		}
		s.provider.during = nil
		s.flush(t)
		charges := s.provider.charges.Load()
		s.rollBack(t, older)
		s.place(t, "loads-the-counter", goodCard)

		var declined *order.DeclinedError
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard)); !errors.As(err, &declined) {
			t.Errorf("the retry: %v; want the decline again", err)
		}
		s.flush(t)
		if n := s.provider.charges.Load() - charges; n != 1 { // Of the order that loads the counter.
			t.Errorf("%d charges since; want 1", n)
		}
		if left := s.left(t); left != 98 {
			t.Errorf("%d units are left; want 98", left)
		}
	})
}
