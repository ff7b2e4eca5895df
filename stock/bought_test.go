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

// bought has SQL know an order of n units of A, placed so long ago, and returns its id.
func (s *shop) bought(customer order.CustomerID, ago time.Duration, n int64) order.ID {
	return s.boughtAs(order.NewID(0, time.Now().Add(-ago)), customer, n)
}

func (s *shop) boughtAs(id order.ID, customer order.CustomerID, n int64) order.ID {
	s.sql.mu.Lock()
	defer s.sql.mu.Unlock()
	if s.sql.bought == nil {
		s.sql.bought = map[order.CustomerID][]order.Bought{}
	}
	s.sql.bought[customer] = append(s.sql.bought[customer], order.Bought{ID: id, Units: []order.Delta{{SKU: "A", Units: n}}})
	return id
}

// wipe deletes the shop's keys, and opens the next epoch.
func (s *shop) wipe(t *testing.T) {
	t.Helper()
	s.deleteKeys(t)
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// mayOrder checks that the customer may order n more units of A, of which they may have most, and no more.
func (s *shop) mayOrder(t *testing.T, customer order.CustomerID, most, n int) {
	t.Helper()
	for i := range 2 { // Again: what SQL has counts once.
		_, err := s.Reserve(t.Context(), of(customer, atMost(most, request(fmt.Sprint("too many ", i), units("A", n+1)))))
		wantLimit(t, err, order.LimitCustomerUnits, int64(most))
	}
	if n > 0 {
		s.mustReserve(t, of(customer, atMost(most, request("the last "+string(order.NewID(0, time.Now())), units("A", n)))))
	}
}

// TestBought_RedisWiped: what a customer ordered before counts, though Redis has lost it, and as long as it would have.
func TestBought_RedisWiped(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		s.sql.boughtErr = errors.New("read without need") // Nothing is lost yet.
		first := atMost(2, request("k1", units("A", 1)))
		s.mustReserve(t, first)
		s.flushAll(t)
		s.sql.boughtErr = nil
		s.boughtAs(first.OrderID, "c1", 1)
		s.bought("c2", 23*time.Hour, 2)
		s.bought("c3", 25*time.Hour, 2)
		s.wipe(t)
		s.mayOrder(t, "c1", 2, 1)
		s.mayOrder(t, "c1", 2, 0)
		s.mayOrder(t, "c2", 2, 0)
		s.mustReserve(t, of("c3", atMost(2, request("k", units("A", 2)))))
		c := s.redis.Client()
		ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Bought("c2")).Build()).AsInt64()
		if hour := int64(time.Hour.Seconds()); err != nil || ttl > hour || ttl < hour-60 {
			t.Errorf("the window of an order of 23 hours ago ends in %d s (%v); want an hour", ttl, err)
		}
	})
}

// TestBought_OrderedInSQL: while SQL took orders, Redis kept what it had. Both count, each once, until they are cancelled.
func TestBought_OrderedInSQL(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		inRedis := atMost(10, request("k1", units("A", 3)))
		s.mustReserve(t, inRedis)
		s.boughtAs(inRedis.OrderID, "c1", 3)
		inSQL := s.bought("c1", -time.Second, 4) // Later than that.
		s.nextEpoch(t)
		s.mayOrder(t, "c1", 10, 3)
		for range 2 {
			if _, err := s.Restock(t.Context(), 2, inSQL, "c1", []order.Delta{{SKU: "A", Units: 4}}, "r"); err != nil {
				t.Fatal(err)
			}
		}
		// SQL was read just before it had the cancellation, so that it still has the order.
		s.mayOrder(t, "c1", 10, 4)
	})
}

// TestBought_PassedOver: what Redis counted in an earlier window, or released before SQL knows, does not count again.
func TestBought_PassedOver(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		s.bought("c1", time.Hour, 5)
		s.mustReserve(t, atMost(10, request("k1", units("A", 2))))
		released := atMost(10, request("k2", units("A", 3)))
		s.mustReserve(t, released)
		s.boughtAs(released.OrderID, "c1", 3)
		s.nextEpoch(t)
		if _, err := s.Release(t.Context(), released.OrderID, "r", ""); err != nil {
			t.Fatal(err)
		}
		s.mayOrder(t, "c1", 10, 8)
	})
}

// TestBought_GuestClaimedMeanwhile: SQL has a claim before Redis. What the guest ordered then counts for the customer already, and once when Redis has
// the claim too.
func TestBought_GuestClaimedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		s.boughtAs(s.bought("guest_1", time.Hour, 3), "ada", 3)
		s.wipe(t)
		s.mustReserve(t, of("guest_1", atMost(10, request("k1", units("A", 1)))))
		s.mustReserve(t, of("ada", atMost(10, request("k2", units("A", 1)))))
		for range 2 {
			s.mustClaim(t, "guest_1", "ada")
		}
		s.mayOrder(t, "ada", 10, 5)
	})
}

// TestBought_WindowOfAnOlderVersion: it does not record what each order counted, so nothing can be added.
func TestBought_WindowOfAnOlderVersion(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		first := atMost(10, request("k1", units("A", 2)))
		s.mustReserve(t, first)
		s.boughtAs(first.OrderID, "c1", 2)
		c := s.redis.Client()
		gone := []string{":begin", ":" + string(first.OrderID)}
		if n, err := c.Do(t.Context(), c.B().Hdel().Key(s.keys.Bought("c1")).Field(gone...).Build()).AsInt64(); err != nil || n != 2 {
			t.Fatalf("%d fields deleted (%v)", n, err)
		}
		if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Order(first.OrderID)).Build()).Error(); err != nil {
			t.Fatal(err) // As its TTL does.
		}
		s.nextEpoch(t)
		s.mayOrder(t, "c1", 10, 8)
	})
}

// TestBought_SQLFails: the limit is not known, so the order is refused for now. Requests for products without a limit need no SQL.
func TestBought_SQLFails(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, limitless(), map[order.SKU]int64{"A": 1000})
		s.wipe(t)
		s.sql.boughtErr = errors.New("no SQL")
		_, err := s.Reserve(t.Context(), atMost(10, request("k1", units("A", 1))))
		var retry *order.RetryError
		if !errors.As(err, &retry) || retry.After <= 0 || !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrUnknownOutcome) {
			t.Errorf("got %v; want a *RetryError that is ErrUnavailable", err)
		}
		s.mustReserve(t, request("k2", units("A", 1)))
		forOneOrder := limitless()
		forOneOrder.UnitsWindow = 0
		other := stock.New(s.keys.Keys, s.redis, s.epochs, s.sql, forOneOrder, stubPermit{})
		if _, err := other.Reserve(t.Context(), atMost(10, request("k3", units("A", 10)))); err != nil {
			t.Errorf("without a window: %v", err)
		}
	})
}
