package stock_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// BenchmarkStock_ReserveAndSettle measures the two calls to Redis of a paid order, one after the other.
func BenchmarkStock_ReserveAndSettle(b *testing.B) {
	limits := stock.DefaultLimits()
	limits.CustomerOrders, limits.JournalMax = 0, 1<<30
	s := openShop(b, redisconn.Config{Addr: realparts.Redis(b)}, limits, map[order.SKU]int64{"A": 1e12})
	b.Cleanup(func() { deleteKeys(b, s) })
	b.ReportAllocs()
	for b.Loop() {
		id := order.NewID(0, time.Now())
		r := stock.Request{
			OrderID: id, Customer: "guest", Key: string(id), Fingerprint: make([]byte, 32), Demand: []order.Demand{{SKU: "A", Quantity: 1}},
			Snapshot: make([]byte, 300),
		}
		if _, err := s.Reserve(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Settle(b.Context(), id, "charge", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// deleteKeys deletes what the benchmark wrote to the shared Redis, which never evicts.
func deleteKeys(b *testing.B, s *shop) {
	b.Helper()
	const page = 1000
	ctx, c := context.Background(), s.redis.Client()
	for cursor, done := uint64(0), false; !done; done = cursor == 0 {
		found, err := c.Do(ctx, c.B().Scan().Cursor(cursor).Match("{"+s.keys.Namespace+":*").Count(page).Build()).AsScanEntry()
		if err == nil && len(found.Elements) > 0 {
			err = c.Do(ctx, c.B().Unlink().Key(found.Elements...).Build()).Error()
		}
		if err != nil {
			b.Errorf("clean up: %v", err)
			return
		}
		cursor = found.Cursor
	}
}
