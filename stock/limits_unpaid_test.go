package stock_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

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
