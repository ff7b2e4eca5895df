package store_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestLogRow_ReadsAsWritten formats and parses random logs.
func TestLogRow_ReadsAsWritten(t *testing.T) {
	sku := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_.-]{0,10}`)
	rapid.Check(t, func(r *rapid.T) {
		var holds []store.Hold
		for range rapid.IntRange(0, 5).Draw(r, "entries") {
			h := store.Hold{OrderID: order.NewID(0, time.Now())}
			for range rapid.IntRange(0, 4).Draw(r, "lines") {
				h.Deltas = append(h.Deltas, order.Delta{SKU: order.SKU(sku.Draw(r, "sku")), Units: rapid.Int64().Draw(r, "units")})
			}
			holds = append(holds, h)
		}
		got, err := store.ParseHolds(store.FormatHolds(holds))
		if err != nil || !reflect.DeepEqual(got, holds) {
			r.Fatalf("read %+v (%v)\nwant %+v", got, err, holds)
		}
	})
}

func TestLogRow_Format(t *testing.T) {
	holds := []store.Hold{
		{OrderID: "O1", Deltas: []order.Delta{{SKU: "A", Units: -2}, {SKU: "B.1", Units: -1}}},
		{OrderID: "O2", Deltas: []order.Delta{{SKU: "A", Units: 3}}},
	}
	if got, want := string(store.FormatHolds(holds)), "O1 A:-2,B.1:-1\nO2 A:3\n"; got != want {
		t.Errorf("holds are written %q; want %q", got, want)
	}
	if got := store.FormatHolds(nil); got != nil {
		t.Errorf("no holds are written %q; want null", got)
	}
}

func TestLogRow_Unreadable(t *testing.T) {
	for _, text := range []string{"O1", "O1 A", "O1 A:", "O1 A:x", "O1 A:1,", "O1 A:1\n\nO2 A:1", "O1 A:99999999999999999999"} {
		if got, err := store.ParseHolds([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
