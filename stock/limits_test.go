package stock_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// wantLimit checks that the error names the limit and its maximum.
func wantLimit(t *testing.T, err error, limit order.Limit, maximum int64) {
	t.Helper()
	var e *order.LimitError
	if !errors.As(err, &e) || e.Limit != limit || e.Maximum != maximum {
		t.Errorf("got %v; want limit %s of %d", err, limit, maximum)
		return
	}
	if forever := limit == order.LimitOrderUnits; forever != (e.After == 0) {
		t.Errorf("limit %s says to come back after %s", limit, e.After)
	}
}

// limitless are no limits; each test sets the one that it is about.
func limitless() stock.Limits {
	l := stock.DefaultLimits()
	l.UnpaidOrders, l.UnpaidTotal, l.UnpaidPercent = 0, 0, 0
	return l
}

// of makes the request one of the customer.
func of(customer order.CustomerID, r stock.Request) stock.Request {
	r.Customer = customer
	return r
}

func later(r stock.Request) stock.Request {
	r.PayLater = true
	return r
}

func atMost(n int, r stock.Request) stock.Request {
	r.MaxUnits = map[order.SKU]int{"A": n}
	return r
}

// counts reads what is remembered of unpaid orders: how many there are, and the sums by customer and SKU.
func (s *shop) counts(t *testing.T) (orders int64, sums map[string]string) {
	t.Helper()
	c, keys := s.redis.Client(), s.keys.Unpaid()
	n, err := c.Do(t.Context(), c.B().Zcard().Key(keys[0]).Build()).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	notes, err := c.Do(t.Context(), c.B().Hlen().Key(keys[1]).Build()).AsInt64()
	if err != nil || notes != n {
		t.Errorf("%d unpaid orders and %d notes of them (%v)", n, notes, err)
	}
	sums, err = c.Do(t.Context(), c.B().Hgetall().Key(keys[2]).Build()).AsStrMap()
	if err != nil {
		t.Fatal(err)
	}
	return n, sums
}

func (s *shop) wantNothingUnpaid(t *testing.T) {
	t.Helper()
	if n, sums := s.counts(t); n != 0 || len(sums) != 0 {
		t.Errorf("%d orders are counted as unpaid, and %v; want none", n, sums)
	}
}

func TestLimits_UnitsOfAProductForEachCustomer(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000, "B": 1000})
		_, err := s.Reserve(t.Context(), atMost(10, request("too many at once", units("A", 11))))
		wantLimit(t, err, order.LimitOrderUnits, 10)
		if !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("it is %v; want ErrFailedPrecondition, which no retry helps", err)
		}
		first := atMost(10, request("k1", units("A", 4), units("B", 500)))
		s.mustReserve(t, first)
		s.mustReserve(t, first) // A replay counts once.
		s.mustReserve(t, atMost(10, request("k2", units("A", 6))))
		_, err = s.Reserve(t.Context(), atMost(10, request("k3", units("A", 1))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
		s.mustReserve(t, of("c2", atMost(10, request("k3", units("A", 10)))))
		if _, err := s.Release(t.Context(), first.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Release(t.Context(), first.OrderID, "r", ""); err != nil { // Again: it gives nothing back.
			t.Fatal(err)
		}
		_, err = s.Reserve(t.Context(), atMost(10, request("k4", units("A", 5))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
		s.mustReserve(t, atMost(10, request("k5", units("A", 4))))
		s.wantLeft(t, "A", 1000-20)
	})
}

func TestLimits_RestockedUnitsMayBeOrderedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		paid := atMost(10, request("k1", units("A", 10)))
		s.mustReserve(t, paid)
		if _, err := s.Settle(t.Context(), paid.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Restock(t.Context(), 1, paid.OrderID, paid.Customer, []order.Delta{{SKU: "A", Units: 10}}, "r"); err != nil {
				t.Fatal(err)
			}
		}
		s.mustReserve(t, atMost(10, request("k2", units("A", 10))))
		_, err := s.Reserve(t.Context(), atMost(10, request("k3", units("A", 1))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
	})
}

// TestLimits_UnitsThatDidNotCount: B got its limit after the first order, of which the units of B therefore do not count. When that order comes back,
// its units of B must not be subtracted from those of a later one.
func TestLimits_UnitsThatDidNotCount(t *testing.T) {
	for name, giveBack := range map[string]func(s *shop, r stock.Request) error{
		"released": func(s *shop, r stock.Request) error {
			_, err := s.Release(t.Context(), r.OrderID, "r", "")
			return err
		},
		"restocked": func(s *shop, r stock.Request) error {
			back := []order.Delta{{SKU: "A", Units: 1}, {SKU: "B", Units: 3}}
			_, err := s.Restock(t.Context(), 1, r.OrderID, r.Customer, back, "r")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000, "B": 1000})
				first := atMost(5, request("k1", units("A", 1), units("B", 3)))
				s.mustReserve(t, first)
				both := func(r stock.Request) stock.Request {
					r.MaxUnits = map[order.SKU]int{"A": 5, "B": 5}
					return r
				}
				s.mustReserve(t, both(request("k2", units("B", 5))))
				if err := giveBack(s, first); err != nil {
					t.Fatal(err)
				}
				_, err := s.Reserve(t.Context(), both(request("k3", units("B", 1))))
				wantLimit(t, err, order.LimitCustomerUnits, 5)
				s.mustReserve(t, both(request("k4", units("A", 5)))) // Its unit of A is back.
			})
		})
	}
}

// endWindow ends the customer's units window, as its TTL does.
func (s *shop) endWindow(t *testing.T, customer order.CustomerID) {
	t.Helper()
	c := s.redis.Client()
	if n, err := c.Do(t.Context(), c.B().Del().Key(s.keys.Bought(customer)).Build()).AsInt64(); err != nil || n != 1 {
		t.Fatalf("%d windows ended (%v); want 1", n, err)
	}
}

// TestLimits_UnitsOfAnEarlierWindow: the units of an order count in the window in which it was placed. When they come back in a later one,
// the customer may order no more in that one.
func TestLimits_UnitsOfAnEarlierWindow(t *testing.T) {
	giveBack := map[string]func(s *shop, r stock.Request) error{
		"released": func(s *shop, r stock.Request) error {
			_, err := s.Release(t.Context(), r.OrderID, "r", "")
			return err
		},
		"restocked": func(s *shop, r stock.Request) error {
			_, err := s.Restock(t.Context(), 1, r.OrderID, r.Customer, []order.Delta{{SKU: "A", Units: 10}}, "r")
			return err
		},
	}
	for name, giveBack := range giveBack {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
				// Its id is older than those of the next window, as that of an order of yesterday is.
				before := atMost(10, request("k1", units("A", 10)))
				before.OrderID = order.NewID(0, time.Now().Add(-time.Minute))
				s.mustReserve(t, before)
				s.endWindow(t, before.Customer)
				now := atMost(10, request("k2", units("A", 10)))
				s.mustReserve(t, now)
				if err := giveBack(s, before); err != nil {
					t.Fatal(err)
				}
				_, err := s.Reserve(t.Context(), atMost(10, request("k3", units("A", 1))))
				wantLimit(t, err, order.LimitCustomerUnits, 10)
				if err := giveBack(s, now); err != nil { // It is of this window.
					t.Fatal(err)
				}
				s.mustReserve(t, atMost(10, request("k4", units("A", 10))))
			})
		})
	}
}

// TestLimits_OrderOlderThanTheWindowsFirst: two orders are placed at once, and the one with the older id reserves second. It counts in the
// window that the other one opened, and its units come back to it.
func TestLimits_OrderOlderThanTheWindowsFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		second := atMost(10, request("k2", units("A", 4)))
		second.OrderID = order.NewID(0, time.Now().Add(-time.Second))
		s.mustReserve(t, atMost(10, request("k1", units("A", 6))))
		s.mustReserve(t, second)
		if _, err := s.Release(t.Context(), second.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		s.mustReserve(t, atMost(10, request("k3", units("A", 4))))
	})
}

// TestLimits_WindowOfAnOlderVersion: it does not record what each order counted. Units come back to it until it ends.
func TestLimits_WindowOfAnOlderVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		first := atMost(10, request("k1", units("A", 5)))
		s.mustReserve(t, first)
		c := s.redis.Client()
		gone := []string{":begin", ":" + string(first.OrderID)}
		if n, err := c.Do(t.Context(), c.B().Hdel().Key(s.keys.Bought("c1")).Field(gone...).Build()).AsInt64(); err != nil || n != 2 {
			t.Fatalf("%d fields deleted (%v)", n, err)
		}
		s.mustReserve(t, atMost(10, request("k2", units("A", 5))))
		if _, err := s.Release(t.Context(), first.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		s.mustReserve(t, atMost(10, request("k3", units("A", 5))))
	})
}

// TestLimits_WithoutWindowOnlyTheOrderCounts: the setting for shops with customers that order often.
func TestLimits_WithoutWindowOnlyTheOrderCounts(t *testing.T) {
	limits := limitless()
	limits.UnitsWindow = 0
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		for i := range 3 {
			s.mustReserve(t, atMost(10, request(fmt.Sprint(i), units("A", 10))))
		}
		_, err := s.Reserve(t.Context(), atMost(10, request("k", units("A", 11))))
		wantLimit(t, err, order.LimitOrderUnits, 10)
	})
}
