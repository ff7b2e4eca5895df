package stock_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

func (s *shop) setEpochKey(t *testing.T, value string) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Set().Key(s.keys.Epoch()).Value(value).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// TestEpochs_NoConnectionBeforeTheOldEpochIsClosed: until then a request that holds the old epoch's number would be served by the
// counters of an older Redis.
func TestEpochs_NoConnectionBeforeTheOldEpochIsClosed(t *testing.T) {
	cfg := redisconn.Config{Addr: realparts.Redis(t)}
	s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.setEpochKey(t, fmt.Sprintf("rebuild:ANOTHER:%d", time.Now().Unix()))
	fresh := &shop{keys: s.keys, sql: s.sql}
	fresh.connect(t, cfg, stock.DefaultLimits())
	s.sql.mu.Lock()
	s.sql.epoch.Instance = "another/history"
	s.sql.mu.Unlock()
	if err := fresh.epochs.Check(t.Context()); err == nil {
		t.Fatal("an epoch was opened while another process opens one")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c := fresh.redis.Client()
	if err := c.Do(ctx, c.B().Ping().Build()).Error(); err == nil {
		t.Error("a connection was let through before the old epoch was closed")
	}
}

// TestEpochs_AnotherProcessTookOver: the epoch that SQL has recorded must not open in Redis after the token was replaced.
func TestEpochs_AnotherProcessTookOver(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	theirs := fmt.Sprintf("rebuild:ANOTHER:%d", time.Now().Unix())
	drain := func(context.Context, int64) error { s.setEpochKey(t, theirs); return nil }
	epochs := s.newEpochs(s.sql, drain, "journal")
	epochs.Invalidate(1)
	if err := epochs.Check(t.Context()); err == nil {
		t.Error("the epoch was opened with another process' token")
	}
	c := s.redis.Client()
	if held, err := c.Do(t.Context(), c.B().Get().Key(s.keys.Epoch()).Build()).ToString(); err != nil || held != theirs {
		t.Errorf("the epoch key holds %q (%v); want the other process' token", held, err)
	}
}

// TestRewind_ReleaseOfAPaidOrder: SQL did not apply a paid order, which was released for that, and the release is lost. The order is PAID again,
// not pending: its charge was taken.
func TestRewind_ReleaseOfAPaidOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		r := request("k", units("A", 2))
		s.mustReserve(t, r)
		if _, err := s.Settle(t.Context(), r.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		s.flushAll(t)
		if _, err := s.Revoke(t.Context(), r.OrderID, "duplicate"); err != nil {
			t.Fatal(err)
		}
		s.failOver(t)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rec, err := s.HotOrder(t.Context(), r.OrderID); err != nil || rec.State != order.Paid || rec.Reason != "" {
			t.Errorf("the record is %s for %q (%v); want PAID", rec.State, rec.Reason, err)
		}
	})
}
