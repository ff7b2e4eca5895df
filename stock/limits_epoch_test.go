package stock_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

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
