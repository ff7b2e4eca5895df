package stock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// failOver opens the next epoch on another Redis, which is then gone again: what this one's journal still held was never flushed.
func (s *shop) failOver(t *testing.T) {
	t.Helper()
	open, err := s.sql.OpenEpoch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.sql.NextEpoch(t.Context(), journal.Offset{Epoch: open.Number, ID: open.LastID}, journal.Epoch{Instance: "another", Durability: "journal"}); err != nil {
		t.Fatal(err)
	}
	s.sql.openedLongAgo() // Otherwise another process may use it there.
}

// flushAll applies everything that the open epoch's journal holds.
func (s *shop) flushAll(t *testing.T) {
	t.Helper()
	at, _ := s.sql.OpenEpoch(t.Context(), 0)
	entries, err := s.journal.Read(t.Context(), at.Number, at.LastID, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		s.sql.apply(entries)
	}
}

// TestRewind_RedisThatComesBack: its journal held entries that SQL never applied, and meanwhile another Redis was in use. What it
// remembers of them never happened: settled or released now, its orders would be sold, or their units come back, without ever having
// been deducted (I1, I3).
func TestRewind_RedisThatComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		ctx := t.Context()
		reserve := func(key string) stock.Request {
			r := request(key, units("A", 1))
			if _, err := s.Reserve(ctx, r); err != nil {
				t.Fatal(err)
			}
			return r
		}
		known, paidLate, releasedLate := reserve("known"), reserve("paid late"), reserve("released late")
		s.flushAll(t)
		lost, lostPaid := reserve("lost"), reserve("lost and paid")
		for _, r := range []stock.Request{paidLate, lostPaid} {
			if _, err := s.Settle(ctx, r.OrderID, "ch", ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Release(ctx, releasedLate.OrderID, "declined", ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Adjust(ctx, 1, order.Adjustment{ID: "a", SKU: "A", Units: 5}); err != nil {
			t.Fatal(err)
		}
		s.failOver(t)
		if err := s.epochs.Check(ctx); err != nil {
			t.Fatal(err)
		}
		for _, r := range []stock.Request{lost, lostPaid} {
			if _, err := s.Settle(ctx, r.OrderID, "ch", ""); !errors.Is(err, order.ErrNotFound) {
				t.Errorf("settling a lost order: %v", err)
			}
			if _, err := s.Release(ctx, r.OrderID, "why", ""); !errors.Is(err, order.ErrNotFound) {
				t.Errorf("releasing a lost order: %v", err)
			}
		}
		// What SQL knows of is as SQL knows it, so that the step can be taken again, in this epoch's journal.
		for _, r := range []stock.Request{known, paidLate, releasedLate} {
			if rec, err := s.HotOrder(ctx, r.OrderID); err != nil || rec.State != order.Pending {
				t.Errorf("%s is %s (%v)", r.Key, rec.State, err)
			}
		}
		if _, err := s.Settle(ctx, paidLate.OrderID, "ch", ""); err != nil {
			t.Errorf("settle again: %v", err)
		}
		if _, err := s.Release(ctx, releasedLate.OrderID, "declined", ""); err != nil {
			t.Errorf("release again: %v", err)
		}
		// The keys of lost orders are free, and the adjustment is made once more.
		if res, err := s.Reserve(ctx, request("lost", units("A", 1))); err != nil || res.Replay != "" {
			t.Errorf("the key of a lost order: %+v (%v)", res, err)
		}
		if _, left, err := s.Adjust(ctx, 3, order.Adjustment{ID: "a", SKU: "A", Units: 5}); err != nil || left != 12 {
			t.Errorf("the adjustment leaves %d (%v); want 10 - known - paid late - lost, + 5", left, err)
		}
		s.flushAll(t)
		if s.sql.units["A"] != 12 {
			t.Errorf("SQL has %d; Redis 12", s.sql.units["A"])
		}
	})
}

// TestRewind_LostOrderLeavesTheLimits: an order that never happened counts towards no limit, so that its customer's retry is not refused.
// A release that is lost as well has returned the units already.
func TestRewind_LostOrderLeavesTheLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		limits := limitless()
		limits.UnpaidOrders = 1
		s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 100})
		s.mustReserve(t, atMost(10, request("known", units("A", 3))))
		s.flushAll(t)
		released := atMost(10, request("released", units("A", 2)))
		s.mustReserve(t, released)
		if _, err := s.Release(t.Context(), released.OrderID, "declined", ""); err != nil {
			t.Fatal(err)
		}
		s.mustReserve(t, later(atMost(10, request("lost", units("A", 7)))))
		s.failOver(t)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantNothingUnpaid(t)
		s.mustReserve(t, later(atMost(10, request("lost", units("A", 7)))))
		_, err := s.Reserve(t.Context(), atMost(10, request("one more", units("A", 1))))
		wantLimit(t, err, order.LimitCustomerUnits, 10)
	})
}

// TestRewind_ReturnedUnitsCountAgain: a release or a restock that never happened returned no units to the customer's window. The customer
// still has them, or they come back once more.
func TestRewind_ReturnedUnitsCountAgain(t *testing.T) {
	for name, giveBack := range map[string]func(t *testing.T, s *shop, r stock.Request) error{
		"released": func(t *testing.T, s *shop, r stock.Request) error {
			_, err := s.Release(t.Context(), r.OrderID, "x", "")
			return err
		},
		"restocked": func(t *testing.T, s *shop, r stock.Request) error {
			open, _ := s.sql.OpenEpoch(t.Context(), 0)
			_, err := s.Restock(t.Context(), open.Number, r.OrderID, r.Customer, []order.Delta{{SKU: "A", Units: 2}}, "x")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 100})
				wantRefused := func(key string) {
					t.Helper()
					_, err := s.Reserve(t.Context(), atMost(5, request(key, units("A", 1))))
					wantLimit(t, err, order.LimitCustomerUnits, 5)
				}
				back := atMost(5, request("k1", units("A", 2)))
				back.OrderID = order.NewID(0, time.Now().Add(-time.Second)) // It is the first order of the window.
				s.mustReserve(t, back)
				s.mustReserve(t, atMost(5, request("k2", units("A", 3))))
				s.flushAll(t)
				if err := giveBack(t, s, back); err != nil {
					t.Fatal(err)
				}
				s.failOver(t)
				for range 2 { // The second finds nothing to rewind.
					if err := s.epochs.Check(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				wantRefused("while it has 5")
				s.sql.standing = map[order.ID]order.Status{back.OrderID: {State: order.Pending}}
				if err := giveBack(t, s, back); err != nil {
					t.Fatal(err)
				}
				s.mustReserve(t, atMost(5, request("k3", units("A", 2))))
				wantRefused("after two more")
			})
		})
	}
}

// TestRewind_UnitsThatDidNotCount: a release that never happened is rewound. The order's units of B, which had no limit when it was placed, did not
// count before either.
func TestRewind_UnitsThatDidNotCount(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 100, "B": 100})
		back := atMost(5, request("k1", units("A", 1), units("B", 3)))
		s.mustReserve(t, back)
		s.mustReserve(t, atMost(5, request("k2", units("A", 1))))
		s.flushAll(t)
		if _, err := s.Release(t.Context(), back.OrderID, "x", ""); err != nil {
			t.Fatal(err)
		}
		s.failOver(t)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := request("k3", units("A", 3), units("B", 5))
		all.MaxUnits = map[order.SKU]int{"A": 5, "B": 5}
		s.mustReserve(t, all)
		_, err := s.Reserve(t.Context(), atMost(5, request("k4", units("A", 1)))) // Its unit of A counts again.
		wantLimit(t, err, order.LimitCustomerUnits, 5)
	})
}

// TestRewind_PendingOrderHasNoTTL: its TTL was set after SQL had it as PAID or CANCELLED; SQL has lost that. Its entries leave the order to the
// hot order, so that it must not expire before SQL has it again.
func TestRewind_PendingOrderHasNoTTL(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		paid, released := request("paid", units("A", 1)), request("released", units("A", 1))
		s.mustReserve(t, paid)
		s.mustReserve(t, released)
		s.flushAll(t)
		if _, err := s.Settle(t.Context(), paid.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Release(t.Context(), released.OrderID, "declined", ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Expire(t.Context(), map[order.ID]order.State{paid.OrderID: order.Paid, released.OrderID: order.Cancelled}); err != nil {
			t.Fatal(err)
		}
		s.failOver(t)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []order.ID{paid.OrderID, released.OrderID} {
			if hot, err := s.HotOrder(t.Context(), id); err != nil || hot.State != order.Pending || s.hotTTL(t, id) != -1 {
				t.Errorf("the hot order is %s (%v) with a TTL of %d s; want PENDING without one", hot.State, err, s.hotTTL(t, id))
			}
			if _, err := s.Settle(t.Context(), id, "ch", ""); err != nil || s.hotTTL(t, id) != -1 {
				t.Errorf("settled (%v), the hot order has a TTL of %d s; want none", err, s.hotTTL(t, id))
			}
		}
	})
}

// hotTTL is the TTL of a hot order in seconds; -1 without one.
func (s *shop) hotTTL(t *testing.T, id order.ID) int64 {
	t.Helper()
	c := s.redis.Client()
	ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Order(id)).Build()).ToInt64()
	if err != nil {
		t.Fatal(err)
	}
	return ttl
}
