package stock_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// raise adds units to the counter behind the back of this process, as another process would.
func (s *shop) raise(t *testing.T, sku order.SKU, units int64) {
	t.Helper()
	epoch, err := s.epochs.Current()
	if err == nil {
		c := s.redis.Client()
		err = c.Do(t.Context(), c.B().Hincrby().Key(s.keys.Stock(epoch.Number)).Field(string(sku)).Increment(units).Build()).Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) wantSoldOut(t *testing.T, r stock.Request, want ...order.Shortage) {
	t.Helper()
	_, err := s.Reserve(t.Context(), r)
	var sold *order.SoldOutError
	if !errors.As(err, &sold) || !slices.Equal(sold.Shortages, want) {
		t.Errorf("got %v; want sold out with %v", err, want)
	}
}

// TestReserve_SoldOutHint checks that what was refused a moment ago is refused with the same error without the script, and that the keys of
// accepted orders get their orders (I4).
func TestReserve_SoldOutHint(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 2, "B": 5})
		last := request("last", units("A", 2))
		s.mustReserve(t, last)
		var redis, hint *order.SoldOutError
		if _, err := s.Reserve(t.Context(), request("late", units("A", 1))); !errors.As(err, &redis) {
			t.Fatal(err)
		}
		s.raise(t, "A", 1) // From now on only the hint refuses.
		_, err := s.Reserve(t.Context(), request("later", units("A", 1)))
		if !errors.As(err, &hint) || !slices.Equal(redis.Shortages, hint.Shortages) || redis.Error() != err.Error() {
			t.Errorf("the hint refuses with %#v; Redis with %#v", err, redis)
		}
		s.wantSoldOut(t, request("more", units("A", 3)), order.Shortage{SKU: "A", Requested: 3})

		retry := last
		retry.OrderID = order.NewID(0, time.Now())
		if res, err := s.Reserve(t.Context(), retry); err != nil || res.Replay != last.OrderID {
			t.Errorf("the last buyer's retry: %v, %v; want the order %s", res, err, last.OrderID)
		}
		retry.Fingerprint = []byte("another request")
		if _, err := s.Reserve(t.Context(), retry); !errors.Is(err, order.ErrKeyReused) {
			t.Errorf("the last buyer's key with another request: %v; want ErrKeyReused", err)
		}
		s.mustReserve(t, request("other product", units("B", 1)))
		s.mustReserve(t, request("both", units("A", 1), units("B", 1))) // Redis decides, and the unit is back.
	})
}

// TestReserve_SoldOutHintOfUnknownOutcome checks that the second attempt of a reservation, whose first one may have taken the last unit, is
// always decided by Redis.
func TestReserve_SoldOutHintOfUnknownOutcome(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 1})
		sent := request("sent", units("A", 1))
		first := s.mustReserve(t, sent)
		s.wantSoldOut(t, request("late", units("A", 1)), order.Shortage{SKU: "A", Requested: 1})
		sent.Epoch = first.Offset.Epoch
		if res := s.mustReserve(t, sent); res != first {
			t.Errorf("the second attempt got %v; want %v", res, first)
		}
	})
}

// TestReserve_UnitsThatCameBack checks that units can be ordered at once when they came back through this process, and after soldOutAge, a
// second, when they came back through another one.
func TestReserve_UnitsThatCameBack(t *testing.T) {
	for name, giveBack := range map[string]func(t *testing.T, s, other *shop, sold order.ID){
		"adjust": func(t *testing.T, s, _ *shop, _ order.ID) {
			if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "delivery", SKU: "A", Units: 1}); err != nil {
				t.Fatal(err)
			}
		},
		"release": func(t *testing.T, s, _ *shop, sold order.ID) {
			if _, err := s.Release(t.Context(), sold, "declined", ""); err != nil {
				t.Fatal(err)
			}
		},
		"revoke": func(t *testing.T, s, _ *shop, sold order.ID) {
			if _, err := s.Revoke(t.Context(), sold, "duplicate"); err != nil {
				t.Fatal(err)
			}
		},
		"restock": func(t *testing.T, s, _ *shop, sold order.ID) {
			epoch, err := s.OpenEpoch()
			if err == nil {
				_, err = s.Restock(t.Context(), epoch, sold, "c1", []order.Delta{{SKU: "A", Units: 1}}, "cancelled")
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"drop counters": func(t *testing.T, s, _ *shop, _ order.ID) {
			s.sql.mu.Lock()
			s.sql.units["A"] = 2 // One more than the order has taken.
			s.sql.mu.Unlock()
			if err := s.DropCounters(t.Context(), []order.SKU{"A"}); err != nil {
				t.Fatal(err)
			}
		},
		"another process": func(t *testing.T, _, other *shop, sold order.ID) {
			if _, err := other.Release(t.Context(), sold, "declined", ""); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				limits := stock.DefaultLimits()
				s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1})
				other := &shop{keys: s.keys, sql: s.sql}
				other.connect(t, cfg, limits)
				if err := other.epochs.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				sold := request("last", units("A", 1))
				s.mustReserve(t, sold)
				s.wantSoldOut(t, request("late", units("A", 1)), order.Shortage{SKU: "A", Requested: 1})
				giveBack(t, s, other, sold.OrderID)
				if name == "another process" {
					eventuallyReserves(t, s, request("new", units("A", 1)))
					return
				}
				s.mustReserve(t, request("new", units("A", 1)))
			})
		})
	}
}

// eventuallyReserves retries a request that is sold out, until the hint is too old.
func eventuallyReserves(t *testing.T, s *shop, r stock.Request) {
	t.Helper()
	const bound = 30 * time.Second // Far more than the second, for a machine under load.
	deadline, tick := time.After(bound), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.Reserve(t.Context(), r)
		var sold *order.SoldOutError
		if err == nil {
			return
		}
		if !errors.As(err, &sold) {
			t.Fatal(err)
		}
		select {
		case <-deadline:
			t.Fatalf("after %s: %v", bound, err)
		case <-tick.C:
		}
	}
}

// TestReserve_SoldOutHintOfAWipedRedis checks that the last buyer's retry is not refused by a hint when Redis has lost its record: the error is
// one that is retried, and the order is found in SQL then.
func TestReserve_SoldOutHintOfAWipedRedis(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 1})
		last := request("last", units("A", 1))
		s.mustReserve(t, last)
		s.wantSoldOut(t, request("late", units("A", 1)), order.Shortage{SKU: "A", Requested: 1})
		s.deleteKeys(t)
		last.OrderID = order.NewID(0, time.Now())
		if _, err := s.Reserve(t.Context(), last); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("the last buyer's retry: %v; want ErrUnavailable", err)
		}
	})
}
