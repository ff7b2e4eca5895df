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

func TestLimits_UnpaidOrdersOfACustomer(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders = 2
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		first, second := later(request("k1", units("A", 1))), later(request("k2", units("A", 1)))
		s.mustReserve(t, first)
		s.mustReserve(t, second)
		s.mustReserve(t, second) // A replay counts once.
		_, err := s.Reserve(t.Context(), later(request("k3", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 2)
		if !errors.Is(err, order.ErrOverloaded) {
			t.Errorf("it is %v; want ErrOverloaded", err)
		}
		s.mustReserve(t, request("with a card", units("A", 1)))
		s.mustReserve(t, of("c2", later(request("another's", units("A", 1)))))
		for range 2 { // Paid counts once.
			if _, err := s.Settle(t.Context(), first.OrderID, "ch", ""); err != nil {
				t.Fatal(err)
			}
		}
		s.mustReserve(t, later(request("k4", units("A", 1))))
		_, err = s.Reserve(t.Context(), later(request("k5", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 2)
		for range 2 { // Cancelled, too.
			if _, err := s.Release(t.Context(), second.OrderID, "r", ""); err != nil {
				t.Fatal(err)
			}
		}
		s.mustReserve(t, later(request("k6", units("A", 1))))
		_, err = s.Reserve(t.Context(), later(request("k7", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 2)
	})
}

// TestLimits_UnpaidOrdersHoldAShareOfTheStock: five calls by guests reserved an entire stock without a card.
func TestLimits_UnpaidOrdersHoldAShareOfTheStock(t *testing.T) {
	limits := limitless()
	limits.UnpaidPercent = 10
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 100, "few": 3})
		holding := later(of("g0", request("k", units("A", 4))))
		s.mustReserve(t, holding)
		s.mustReserve(t, later(of("g1", request("k", units("A", 6)))))
		_, err := s.Reserve(t.Context(), later(of("g2", request("k", units("A", 1)))))
		wantLimit(t, err, order.LimitUnpaidShare, 10)
		s.mustReserve(t, of("g3", request("k", units("A", 50)))) // With a card, the whole stock can be bought.
		_, err = s.Reserve(t.Context(), later(of("g4", request("k", units("A", 1)))))
		wantLimit(t, err, order.LimitUnpaidShare, 5)
		if _, err := s.Release(t.Context(), holding.OrderID, "expired", ""); err != nil {
			t.Fatal(err)
		}
		// 44 left and 6 held: 5 may be held.
		_, err = s.Reserve(t.Context(), later(of("g5", request("k", units("A", 1)))))
		wantLimit(t, err, order.LimitUnpaidShare, 5)
		s.mustReserve(t, later(of("g6", request("k", units("few", 1)))))
		_, err = s.Reserve(t.Context(), later(of("g7", request("k", units("few", 1)))))
		wantLimit(t, err, order.LimitUnpaidShare, 1)
	})
}

func TestLimits_UnpaidOrdersInAll(t *testing.T) {
	limits := limitless()
	limits.UnpaidTotal = 3
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		for i := range 3 {
			s.mustReserve(t, later(of(order.CustomerID(fmt.Sprint("g", i)), request("k", units("A", 1)))))
		}
		_, err := s.Reserve(t.Context(), later(of("g9", request("k", units("A", 1)))))
		wantLimit(t, err, order.LimitUnpaidTotal, 3)
		s.mustReserve(t, of("g9", request("with a card", units("A", 1))))
	})
}

// TestLimits_UnknownPaymentCountsAsUnpaid: a charge without an outcome holds the stock as an order without a card does.
func TestLimits_UnknownPaymentCountsAsUnpaid(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders = 1
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000, "B": 1000})
		unknown := request("k1", units("A", 3), units("B", 1))
		s.mustReserve(t, unknown)
		for range 2 {
			if err := s.MarkUnpaid(t.Context(), unknown.OrderID); err != nil {
				t.Fatal(err)
			}
		}
		if n, sums := s.counts(t); n != 1 || sums["c:c1"] != "1" || sums["u:A"] != "3" || sums["u:B"] != "1" || len(sums) != 3 {
			t.Errorf("%d orders are counted as unpaid, and %v", n, sums)
		}
		_, err := s.Reserve(t.Context(), later(request("k2", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 1)
		if _, err := s.Settle(t.Context(), unknown.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		if err := s.MarkUnpaid(t.Context(), unknown.OrderID); err != nil { // It was settled meanwhile.
			t.Fatal(err)
		}
		s.wantNothingUnpaid(t)
	})
}

// TestLimits_LostOrdersExpire: what was never paid or released, because Redis lost data or the hot order is gone, stops counting by itself.
func TestLimits_LostOrdersExpire(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders, limits.UnpaidTTL = 1, time.Millisecond
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		for i := range 40 { // More than one reservation forgets.
			r := later(of(order.CustomerID(fmt.Sprint("g", i)), request("k", units("A", 1))))
			s.mustReserve(t, r)
			if c := s.redis.Client(); c.Do(t.Context(), c.B().Del().Key(s.keys.Order(r.OrderID)).Build()).Error() != nil {
				t.Fatal("the record was not deleted")
			}
			<-time.After(2 * time.Millisecond)
		}
		if n, sums := s.counts(t); n > 16 || int64(len(sums)) > n+1 {
			t.Errorf("%d orders are still counted, and %v", n, sums)
		}
	})
}

// TestLimits_PendingOrdersCountBeyondTheirEnd: orders cannot be voided while the payment provider is unavailable. They hold their units, and
// so they count until they are paid or released, however long that takes.
func TestLimits_PendingOrdersCountBeyondTheirEnd(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders, limits.UnpaidTTL = 1, time.Millisecond
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		first := later(request("k", units("A", 1)))
		s.mustReserve(t, first)
		unknown := of("c2", request("k", units("A", 2)))
		s.mustReserve(t, unknown)
		if err := s.MarkUnpaid(t.Context(), unknown.OrderID); err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // Each comes after the end that the one before extended.
			<-time.After(2 * time.Millisecond)
			for _, customer := range []order.CustomerID{"c1", "c2"} {
				_, err := s.Reserve(t.Context(), later(of(customer, request(fmt.Sprint("k", i), units("A", 1)))))
				wantLimit(t, err, order.LimitUnpaidOrders, 1)
			}
		}
		if n, sums := s.counts(t); n != 2 || sums["u:A"] != "3" {
			t.Errorf("%d orders are counted as unpaid, and %v", n, sums)
		}
		if _, err := s.Release(t.Context(), first.OrderID, "expired", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(t.Context(), unknown.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		s.wantNothingUnpaid(t)
	})
}

// TestLimits_PendingOrderThatSQLNeverHad: nothing ends an order of a dead letter. After a day it stops counting, and MarkUnpaid, which the
// reconciler calls for orders that SQL has, counts it again.
func TestLimits_PendingOrderThatSQLNeverHad(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders, limits.UnpaidTTL = 1, time.Millisecond
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		old := later(request("k", units("A", 1)))
		s.mustReserve(t, old)
		c := s.redis.Client()
		setAge := func(age time.Duration) {
			at := fmt.Sprint(time.Now().Add(-age).UnixMilli())
			if err := c.Do(t.Context(), c.B().Hset().Key(s.keys.Order(old.OrderID)).FieldValue().FieldValue("time", at).Build()).Error(); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Millisecond)
		}
		setAge(23 * time.Hour)
		_, err := s.Reserve(t.Context(), later(request("refused", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 1)
		setAge(25 * time.Hour)
		s.mustReserve(t, later(request("accepted", units("A", 1))))
		if err := s.MarkUnpaid(t.Context(), old.OrderID); err != nil {
			t.Fatal(err)
		}
		if n, sums := s.counts(t); n != 2 || sums["c:c1"] != "2" {
			t.Errorf("%d orders are counted as unpaid, and %v; want both", n, sums)
		}
	})
}

// nextEpoch deletes the epoch key, as FLUSHALL does, and opens the next one.
func (s *shop) nextEpoch(t *testing.T) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Epoch()).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestLimits_PendingOrdersOfAnEarlierEpoch: a Redis that lost data may have an order as PENDING that SQL has ended. At its time it is
// removed; MarkUnpaid counts it again if SQL has it as PENDING as well.
func TestLimits_PendingOrdersOfAnEarlierEpoch(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders, limits.UnpaidTTL = 1, time.Millisecond
	for name, c := range map[string]struct {
		in      order.State
		orders  int64
		refused bool
	}{"pending in SQL": {order.Pending, 1, true}, "cancelled in SQL": {order.Cancelled, 0, false}} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
				old := later(request("k", units("A", 1)))
				s.mustReserve(t, old)
				s.nextEpoch(t)
				s.sql.standing = map[order.ID]order.Status{old.OrderID: {State: c.in}}
				<-time.After(2 * time.Millisecond)
				s.mustReserve(t, later(of("c2", request("k", units("A", 1)))))
				if n, sums := s.counts(t); n != 1 || sums["c:c2"] != "1" {
					t.Errorf("%d orders are counted as unpaid, and %v; want that of the new epoch", n, sums)
				}
				if err := s.MarkUnpaid(t.Context(), old.OrderID); err != nil {
					t.Fatal(err)
				}
				if n, sums := s.counts(t); n != 1+c.orders {
					t.Errorf("%d orders are counted as unpaid, and %v; want %d", n, sums, 1+c.orders)
				}
				<-time.After(2 * time.Millisecond)
				_, err := s.Reserve(t.Context(), later(request("again", units("A", 1))))
				if c.refused {
					wantLimit(t, err, order.LimitUnpaidOrders, 1)
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLimits_SurviveANewEpoch: what was reserved before is counted until it is paid or cancelled in the next epoch.
func TestLimits_SurviveANewEpoch(t *testing.T) {
	limits := limitless()
	limits.UnpaidOrders = 1
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 1000})
		first := later(request("k1", units("A", 1)))
		s.mustReserve(t, first)
		s.nextEpoch(t)
		_, err := s.Reserve(t.Context(), later(request("k2", units("A", 1))))
		wantLimit(t, err, order.LimitUnpaidOrders, 1)
		if _, err := s.Release(t.Context(), first.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		s.wantNothingUnpaid(t)
	})
}
