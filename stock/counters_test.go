package stock_test

import (
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

func TestReadCounters_LoadedOnes(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 5, "C": 1})
		read := func(epoch int64) stock.Counters {
			t.Helper()
			c, err := stock.ReadCounters(t.Context(), s.redis, s.keys.Keys, epoch)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if c := read(1); c.Epoch != 1 || c.LastID != "" || len(c.Units) != 0 {
			t.Errorf("before the first order: %+v", c)
		}
		s.mustReserve(t, request("k1", units("A", 3)))
		res := s.mustReserve(t, request("k2", units("A", 1), units("B", 2)))
		if c := read(1); c.Epoch != 1 || c.LastID != res.Offset.ID || len(c.Units) != 2 || c.Units["A"] != 6 || c.Units["B"] != 3 {
			t.Errorf("after two orders: %+v; want A 6 and B 3 at %s", c, res.Offset.ID)
		}
		if c := read(2); c.Epoch != 1 || c.LastID != "" || len(c.Units) != 0 {
			t.Errorf("of an epoch that is not open: %+v", c)
		}
	})
}
