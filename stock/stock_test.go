package stock_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

func TestReserve_AllLinesOrNone(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5, "B": 1})
		_, err := s.Reserve(t.Context(), request("k1", units("A", 2), units("B", 2)))
		var sold *order.SoldOutError
		if !errors.As(err, &sold) || len(sold.Shortages) != 1 || sold.Shortages[0] != (order.Shortage{SKU: "B", Requested: 2, Available: 1}) {
			t.Fatalf("err = %v; want B sold out with 1 left", err)
		}
		s.wantLeft(t, "A", 5)
		s.mustReserve(t, request("k1", units("A", 2), units("B", 1)))
		s.wantLeft(t, "A", 3)
		s.wantLeft(t, "B", 0)
	})
}

func TestReserve_SumsLinesOfOneSKU(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 3})
		var sold *order.SoldOutError
		if _, err := s.Reserve(t.Context(), request("k", units("A", 2), units("A", 2))); !errors.As(err, &sold) {
			t.Fatalf("2 + 2 of 3: err = %v; want sold out", err)
		}
		s.wantLeft(t, "A", 3)
	})
}

func TestReserve_QuantityOutOfBounds(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		for _, n := range []int{0, -1, order.MaxQuantity + 1, 1_000_000_000} {
			if _, err := s.Reserve(t.Context(), request("k", units("A", n))); !errors.Is(err, order.ErrInvalid) {
				t.Errorf("quantity %d: err = %v; want ErrInvalid", n, err)
			}
		}
		s.wantLeft(t, "A", 5)
	})
}

// isKeyReused reports whether the error names the order of the key.
func isKeyReused(err error, id order.ID) bool {
	var refused *order.RefusalError
	return errors.Is(err, order.ErrKeyReused) && errors.As(err, &refused) && refused.Metadata["orderId"] == string(id)
}

func TestReserve_RetryWithItsKey(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		first := request("k", units("A", 1))
		s.mustReserve(t, first)
		again := request("k", units("A", 1))
		if res := s.mustReserve(t, again); res.Replay != first.OrderID {
			t.Errorf("replay = %q; want the first order %q", res.Replay, first.OrderID)
		}
		other := again
		other.Fingerprint = []byte("another request")
		if _, err := s.Reserve(t.Context(), other); !isKeyReused(err, first.OrderID) {
			t.Errorf("another request: err = %v; want ErrKeyReused with the order %s", err, first.OrderID)
		}
		if _, err := s.Replay(t.Context(), other.Customer, other.Key, other.Fingerprint); !isKeyReused(err, first.OrderID) {
			t.Errorf("a replay of another request: err = %v; want ErrKeyReused with the order %s", err, first.OrderID)
		}
		theirs := again
		theirs.Customer = "c2"
		if res := s.mustReserve(t, theirs); res.Replay != "" {
			t.Error("another customer's key met this one's order")
		}
		s.wantLeft(t, "A", 3)
	})
}

func TestReserve_RetriedAfterABrokenConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		r := request("k", units("A", 1))
		first, second := s.mustReserve(t, r), s.mustReserve(t, r)
		if first != second {
			t.Errorf("the same order id answered %v, then %v", first, second)
		}
		s.wantLeft(t, "A", 4)
	})
}

func TestReserve_JournalFull(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		limits := stock.DefaultLimits()
		limits.JournalMax = 2
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 5})
		s.mustReserve(t, request("k1", units("A", 1)))
		s.mustReserve(t, request("k2", units("A", 1)))
		_, err := s.Reserve(t.Context(), request("k3", units("A", 1)))
		var retry *order.RetryError
		if !errors.Is(err, order.ErrOverloaded) || !errors.As(err, &retry) || retry.After <= 0 {
			t.Errorf("err = %v; want ErrOverloaded with a time to wait", err)
		}
		s.wantLeft(t, "A", 3)
	})
}

func TestReserve_CustomerOrderLimit(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		limits := stock.DefaultLimits()
		limits.CustomerOrders = 2
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 5})
		s.mustReserve(t, request("k1", units("A", 1)))
		s.mustReserve(t, request("k2", units("A", 1)))
		if _, err := s.Reserve(t.Context(), request("k3", units("A", 1))); !errors.Is(err, order.ErrOverloaded) {
			t.Errorf("third order: err = %v; want ErrOverloaded", err)
		}
		if res := s.mustReserve(t, request("k1", units("A", 1))); res.Replay == "" {
			t.Error("a retry of the first order was not recognized at the limit")
		}
		c := s.redis.Client()
		if ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Rate("c1")).Build()).ToInt64(); err != nil || ttl <= 0 || ttl > 60 {
			t.Errorf("the window ends in %d s (%v); want at most 60", ttl, err)
		}
	})
}

func TestReserve_UnknownSKU(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		if _, err := s.Reserve(t.Context(), request("k", units("A", 1), units("nope", 1))); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("err = %v; want ErrNotFound", err)
		}
		s.wantLeft(t, "A", 5)
	})
}

func TestReserve_ConcurrentBuyersNeverOversell(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		limits := stock.DefaultLimits()
		limits.CustomerOrders = 0
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 100})
		var wg sync.WaitGroup
		var mu sync.Mutex
		sold := 0
		for buyer := range 16 {
			wg.Go(func() {
				for i := range 20 {
					_, err := s.Reserve(t.Context(), request(fmt.Sprintf("%d-%d", buyer, i), units("A", 1)))
					var out *order.SoldOutError
					switch {
					case err == nil:
						mu.Lock()
						sold++
						mu.Unlock()
					case !errors.As(err, &out):
						t.Errorf("reserve: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if sold != 100 {
			t.Errorf("sold %d of 100", sold)
		}
		s.wantLeft(t, "A", 0)
	})
}

func TestSettle_AndReleaseHappenOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		paid, declined := request("k1", units("A", 1)), request("k2", units("A", 2))
		s.mustReserve(t, paid)
		s.mustReserve(t, declined)

		p1, err1 := s.Settle(t.Context(), paid.OrderID, "ch", "")
		p2, err2 := s.Settle(t.Context(), paid.OrderID, "ch", "")
		if err1 != nil || err2 != nil || p1 != p2 {
			t.Errorf("settle twice: %v %v, %v %v", p1, err1, p2, err2)
		}
		if _, err := s.Release(t.Context(), paid.OrderID, "late", ""); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("release of a paid order: %v; want ErrFailedPrecondition", err)
		}
		for range 2 {
			if _, err := s.Release(t.Context(), declined.OrderID, "declined", ""); err != nil {
				t.Errorf("release: %v", err)
			}
		}
		if _, err := s.Settle(t.Context(), declined.OrderID, "ch", ""); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("settle of a released order: %v; want ErrFailedPrecondition", err)
		}
		s.wantLeft(t, "A", 4)
		if _, err := s.Release(t.Context(), order.NewID(0, time.Now()), "never reserved", ""); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("release of an order that was never reserved: %v; want ErrNotFound", err)
		}
		s.wantLeft(t, "A", 4)
	})
}

func TestJournal_EntriesOfAnOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5, "B": 5})
		r := request("k", units("A", 2), units("B", 1))
		res := s.mustReserve(t, r)
		if _, err := s.Settle(t.Context(), r.OrderID, "charge-1", "trace-1"); err != nil {
			t.Fatal(err)
		}
		entries, err := s.journal.Read(t.Context(), res.Offset.Epoch, journal.StartID, 10)
		if err != nil || len(entries) != 2 {
			t.Fatalf("entries = %v, %v; want 2", entries, err)
		}
		got := entries[0]
		if got.Kind != journal.Reserved || got.OrderID != r.OrderID || !bytes.Equal(got.Snapshot, r.Snapshot) || got.ID != res.Offset.ID ||
			len(got.Deltas) != 2 || got.Deltas[0] != (order.Delta{SKU: "A", Units: -2}) || got.Deltas[1] != (order.Delta{SKU: "B", Units: -1}) {
			t.Errorf("first entry = %+v", got)
		}
		got = entries[1]
		if got.Kind != journal.Settled || got.OrderID != r.OrderID || len(got.Snapshot) != 0 || len(got.Deltas) != 0 ||
			got.Detail != "charge-1" || got.Trace != "trace-1" {
			t.Errorf("second entry = %+v", got)
		}
	})
}

func TestAdjust_RepeatedAndBelowZero(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		for range 2 {
			if _, left, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a1", SKU: "A", Units: 10, Reason: "r"}); err != nil || left != 15 {
				t.Fatalf("adjust = %d, %v; want 15 left", left, err)
			}
		}
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a1", SKU: "A", Units: 11}); !errors.Is(err, order.ErrAlreadyExists) {
			t.Errorf("same id, other delta: %v; want ErrAlreadyExists", err)
		}
		var short *order.SoldOutError
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a2", SKU: "A", Units: -16}); !errors.As(err, &short) {
			t.Errorf("taking 16 of 15: %v; want a shortage", err)
		}
		s.wantLeft(t, "A", 15)
	})
}

func TestExpire_OnlySettledOrders(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		pending, paid := request("k1", units("A", 1)), request("k2", units("A", 1))
		s.mustReserve(t, pending)
		s.mustReserve(t, paid)
		if _, err := s.Settle(t.Context(), paid.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Expire(t.Context(), map[order.ID]order.State{pending.OrderID: order.Pending, paid.OrderID: order.Paid}); err != nil {
			t.Fatal(err)
		}
		c := s.redis.Client()
		ttl := func(id order.ID) int64 {
			n, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Order(id)).Build()).ToInt64()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if ttl(pending.OrderID) != -1 || ttl(paid.OrderID) <= 0 {
			t.Errorf("ttl pending %d (want none), paid %d (want some)", ttl(pending.OrderID), ttl(paid.OrderID))
		}
	})
}
