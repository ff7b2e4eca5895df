package stock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// hangingStore is SQL that does not respond to reads of an order.
type hangingStore struct{ *fakeStore }

func (hangingStore) OrderStatus(ctx context.Context, _ order.ID) (order.Status, error) {
	<-ctx.Done()
	return order.Status{}, ctx.Err()
}

// TestSettle_SQLHangsWhileTheOrderIsCompared: an order of an earlier epoch is compared with SQL before its first attempt. That is bounded as the
// waiting for an epoch is, and the outcome is unknown: the money was taken.
func TestSettle_SQLHangsWhileTheOrderIsCompared(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		r := request("k", units("A", 1))
		s.mustReserve(t, r)
		s.flushAll(t)
		s.epochs.Invalidate(1)
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		hanging := stock.New(s.keys.Keys, s.redis, s.epochs, hangingStore{s.sql}, patientLimits(), stubPermit{})
		hanging.SetEpochWait(20 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := hanging.Settle(ctx, r.OrderID, "ch", "")
		if !errors.Is(err, order.ErrUnavailable) || !errors.Is(err, order.ErrUnknownOutcome) || ctx.Err() != nil {
			t.Errorf("settle while SQL hangs: %v; the caller's context: %v; want ErrUnavailable before it ends", err, ctx.Err())
		}
		if _, err := s.Settle(t.Context(), r.OrderID, "ch", ""); err != nil {
			t.Errorf("settle when SQL works again: %v", err)
		}
	})
}
