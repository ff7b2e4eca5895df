package stock_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

func TestLoad_IncludesTheJournalBeyondSQL(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		res := s.mustReserve(t, request("k1", units("A", 3)))
		entries, err := s.journal.Read(t.Context(), res.Offset.Epoch, journal.StartID, 10)
		if err != nil {
			t.Fatal(err)
		}
		s.sql.apply(entries) // SQL: 7
		s.mustReserve(t, request("k2", units("A", 2)))
		c := s.redis.Client()
		if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Stock(res.Offset.Epoch)).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		s.mustReserve(t, request("k3", units("A", 1)))
		s.wantLeft(t, "A", 4)
	})
}

func TestLoad_NeverRaisesACounter(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 1})
		s.mustReserve(t, request("k1", units("A", 9)))
		// B is loaded now, together with A: its counter must stay although SQL still has 10.
		s.mustReserve(t, request("k2", units("A", 1), units("B", 1)))
		s.wantLeft(t, "A", 0)
	})
}

func TestEpochs_WipedRedisIsRebuiltFromSQL(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		res := s.mustReserve(t, request("k1", units("A", 3)))
		entries, err := s.journal.Read(t.Context(), res.Offset.Epoch, journal.StartID, 10)
		if err != nil {
			t.Fatal(err)
		}
		s.sql.apply(entries)
		s.mustReserve(t, request("k2", units("A", 1))) // not in SQL: lost with the wipe
		s.deleteKeys(t)
		if _, err := s.Reserve(t.Context(), request("k3", units("A", 1))); !errors.Is(err, order.ErrUnavailable) {
			t.Fatalf("reserve on a wiped Redis: %v; want ErrUnavailable", err)
		}
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := s.mustReserve(t, request("k4", units("A", 1)))
		if again.Offset.Epoch != res.Offset.Epoch+1 {
			t.Errorf("epoch = %d after %d", again.Offset.Epoch, res.Offset.Epoch)
		}
		s.wantLeft(t, "A", 6)
	})
}
