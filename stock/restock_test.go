package stock_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

func TestRestock_UnitsComeBackOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5, "B": 7})
		r := request("k", units("A", 2))
		if _, err := s.Reserve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		epoch, err := s.OpenEpoch()
		if err != nil {
			t.Fatal(err)
		}
		// B has no counter yet: it is loaded later from SQL and the entry, and must not be born of it (I2).
		back := []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}
		first, err := s.Restock(t.Context(), epoch, r.OrderID, r.Customer, back, "cancelled")
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Restock(t.Context(), epoch, r.OrderID, r.Customer, back, "cancelled")
		if err != nil || again != first {
			t.Errorf("again: %v, %v; first %v", again, err, first)
		}
		left, err := s.Available(t.Context(), []order.SKU{"A"})
		if err != nil || left["A"] != 5 {
			t.Errorf("%d of A are left (%v); want 5", left["A"], err)
		}
		entries, err := s.journal.Read(t.Context(), epoch, journal.StartID, 10)
		if err != nil || len(entries) != 2 {
			t.Fatalf("the journal holds %v (%v)", entries, err)
		}
		if e := entries[1]; e.Kind != journal.Restocked || e.OrderID != r.OrderID || len(e.Deltas) != 2 || e.Deltas[1] != back[1] || e.ID != first.ID {
			t.Errorf("the entry is %+v", e)
		}
		// B's first buyer loads the counter: 7 in SQL and 1 in the journal.
		if _, err := s.Reserve(t.Context(), request("k2", units("B", 8))); err != nil {
			t.Errorf("8 of B: %v", err)
		}
	})
}

func TestRestock_EpochThatClosedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 5})
		epoch, err := s.OpenEpoch()
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Restock(t.Context(), epoch+1, request("k").OrderID, "", []order.Delta{{SKU: "A", Units: 2}}, "cancelled")
		if !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("with another epoch's number: %v", err)
		}
		if entries, err := s.journal.Read(t.Context(), epoch, journal.StartID, 10); err != nil || len(entries) != 0 {
			t.Errorf("the journal holds %v (%v)", entries, err)
		}
	})
}
