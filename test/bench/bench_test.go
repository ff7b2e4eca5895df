package main

import (
	"context"
	"testing"
	"time"
)

func TestPercentile_Values(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		sorted []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0},
		{hundred[:1], 99, 1},
		{hundred[:2], 50, 1},
		{hundred[:3], 50, 2},
		{hundred, 0, 1},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
	} {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile %d of %d values: %d, want %d", c.p, len(c.sorted), got, c.want)
		}
	}
}

func TestRate_Zero(t *testing.T) {
	t.Parallel()
	if got := rate(100, 0); got != 0 {
		t.Errorf("rate without time: %v", got)
	}
	if got := rate(100, 2*time.Second); got != 50 {
		t.Errorf("100 in 2 s: %v a second", got)
	}
}

func TestMedian_Values(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestTotals_Consistent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    totals
		want bool
	}{
		{"all shipped", totals{InitialStock: 10, StockLeft: 7, Accepted: 3, Shipped: 3, Units: 3}, true},
		{"an order is missing", totals{InitialStock: 10, StockLeft: 8, Accepted: 3, Shipped: 2, Units: 2}, false},
		{"a unit too many was taken", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 3, Units: 3}, false},
		{"an order that nobody placed", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 4, Units: 4}, false},
		{"orders of two units", totals{InitialStock: 10, StockLeft: 4, Accepted: 3, Shipped: 3, Units: 6}, true},
		{"an unsucceeded call that became an order", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 4, Units: 4, Unknown: 1}, true},
		{"an unsucceeded call that did not", totals{InitialStock: 10, StockLeft: 7, Accepted: 3, Shipped: 3, Units: 3, Unknown: 1}, true},
	} {
		if got := c.b.consistent(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// counter is a caller that succeeds in some of its calls.
type counter struct{ calls int }

func (c *counter) close() {}

func (c *counter) call(context.Context) string {
	if c.calls++; c.calls%3 == 0 {
		return "no_luck"
	}
	return ""
}

func TestLoad_CountsAll(t *testing.T) {
	t.Parallel()
	clients := []*counter{{}, {}}
	o, err := load{clients: 2, length: 50 * time.Millisecond}.run(t.Context(), func(i int) caller { return clients[i] })
	if err != nil {
		t.Fatal(err)
	}
	if calls := clients[0].calls + clients[1].calls; o.accepted+o.errors["no_luck"] != calls || o.accepted < len(o.latencies) {
		t.Errorf("%d calls, but %d accepted, %d measured, errors %v", calls, o.accepted, len(o.latencies), o.errors)
	}
	if !o.to.Equal(o.from.Add(50 * time.Millisecond)) {
		t.Errorf("measured from %v to %v", o.from, o.to)
	}
}
