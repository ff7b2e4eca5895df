package stock

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestSoldOutHints(t *testing.T) {
	const epoch = 3
	began := time.Unix(1000, 0)
	one := func(sku order.SKU, n int) []order.Demand { return []order.Demand{{SKU: sku, Quantity: n}} }
	var h soldOutHints
	h.remember(epoch, []order.Shortage{{SKU: "A", Requested: 2, Available: 0}, {SKU: "B", Requested: 9, Available: 3}, {SKU: "D", Requested: 1}}, 0, began)
	for name, c := range map[string]struct {
		epoch  int64
		demand []order.Demand
		after  time.Duration
		want   []order.Shortage
	}{
		"sold out":                   {epoch, one("A", 1), 0, []order.Shortage{{SKU: "A", Requested: 1}}},
		"just before a second":       {epoch, one("A", 1), soldOutAge - 1, []order.Shortage{{SKU: "A", Requested: 1}}},
		"after a second":             {epoch, one("A", 1), soldOutAge, nil},
		"more than is left":          {epoch, one("B", 4), 0, nil},
		"another product":            {epoch, one("C", 1), 0, nil},
		"beside another product":     {epoch, append(one("A", 1), one("C", 1)...), 0, nil},
		"beside one that is left":    {epoch, append(one("A", 1), one("B", 1)...), 0, nil},
		"two that are sold out":      {epoch, append(one("A", 5), one("D", 6)...), 0, []order.Shortage{{SKU: "A", Requested: 5}, {SKU: "D", Requested: 6}}},
		"not summed":                 {epoch, append(one("A", 1), one("A", 1)...), 0, nil},
		"another epoch":              {epoch + 1, one("A", 1), 0, nil},
		"a quantity that is invalid": {epoch, one("A", order.MaxQuantity+1), 0, nil},
		"nothing":                    {epoch, nil, 0, nil},
	} {
		var got []order.Shortage
		if refusal := h.shortage(c.epoch, c.demand, began.Add(c.after)); refusal != nil {
			got = refusal.Shortages
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v; want %v", name, got, c.want)
		}
	}
}

// TestSoldOutHints_UnitsCameBackMeanwhile checks that a refusal of Redis is not remembered if units came back while it was on its way.
func TestSoldOutHints_UnitsCameBackMeanwhile(t *testing.T) {
	began, short := time.Unix(1000, 0), []order.Shortage{{SKU: "A", Requested: 1}}
	var h soldOutHints
	changes := h.changes.Load()
	h.forget()
	h.remember(1, short, changes, began)
	if got := h.shortage(1, []order.Demand{{SKU: "A", Quantity: 1}}, began); got != nil {
		t.Errorf("got %v from before the units came back", got)
	}
	h.remember(1, short, h.changes.Load(), began)
	if h.shortage(1, []order.Demand{{SKU: "A", Quantity: 1}}, began) == nil {
		t.Error("a refusal from after it is not remembered")
	}
	h.forget()
	if got := h.shortage(1, []order.Demand{{SKU: "A", Quantity: 1}}, began); got != nil {
		t.Errorf("got %v from before units came back again", got)
	}
}

func TestSoldOutHints_Bounded(t *testing.T) {
	began := time.Unix(1000, 0)
	var h soldOutHints
	short := make([]order.Shortage, maxSoldOut+10)
	for i := range short {
		short[i] = order.Shortage{SKU: order.SKU(fmt.Sprint("SKU-", i)), Requested: 1}
	}
	h.remember(1, short, 0, began)
	if len(h.hints) != maxSoldOut {
		t.Errorf("%d SKUs are remembered; want %d", len(h.hints), maxSoldOut)
	}
	later := began.Add(soldOutAge)
	h.remember(1, []order.Shortage{{SKU: "new", Requested: 1}}, 0, later)
	if len(h.hints) != 1 || h.shortage(1, []order.Demand{{SKU: "new", Quantity: 1}}, later) == nil {
		t.Errorf("of %d SKUs the new one is not remembered in place of old ones", len(h.hints))
	}
}

func BenchmarkSoldOutHints(b *testing.B) {
	now, demand := time.Now(), []order.Demand{{SKU: "A", Quantity: 1}}
	for name, short := range map[string][]order.Shortage{"nothing is short": nil, "another product": {{SKU: "B"}}, "sold out": {{SKU: "A"}}} {
		b.Run(name, func(b *testing.B) {
			var h soldOutHints
			h.remember(1, short, 0, now)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = h.shortage(1, demand, now)
				}
			})
		})
	}
}
