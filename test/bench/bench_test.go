package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
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
	d := drained{shipped: 300, duringLoad: 100, whole: 3 * time.Second, backlog: time.Second}
	if d.perSecond() != 100 || d.loadPerSecond() != 50 || d.backlogPerSecond() != 200 {
		t.Errorf("rates of %+v: %v, %v, %v", d, d.perSecond(), d.loadPerSecond(), d.backlogPerSecond())
	}
}

func TestReport_Compare(t *testing.T) {
	t.Parallel()
	rows := []row{{What: rowBare, PerSecond: 1000}, {What: rowPlace, PerSecond: 500}, {What: rowSQL, PerSecond: 100}, {What: rowDrained}}
	compare(rows)
	for i, want := range [][2]float64{{1, 10}, {0.5, 5}, {0.1, 1}, {0, 0}} {
		if got := [2]float64{rows[i].RatioToBare, rows[i].RatioToSQL}; got != want {
			t.Errorf("%s: ratios %v, want %v", rows[i].What, got, want)
		}
	}
	alone := []row{{What: rowPlace, PerSecond: 500}}
	compare(alone)
	if alone[0].RatioToBare != 0 || alone[0].RatioToSQL != 0 {
		t.Errorf("ratios to nothing: %+v", alone[0])
	}
}

func someReport() *report {
	fast := outcome{latencies: []time.Duration{2 * time.Millisecond}, perSecond: 1000}
	slow := outcome{latencies: []time.Duration{40 * time.Millisecond}, perSecond: 500, errors: map[string]int{"unavailable": 3}}
	r := &report{Cores: 2, Go: "go1", MySQL: "MySQL 9", Clients: 64, Seconds: 5, Rows: []row{
		measured(rowBare, fast), measured(rowPlace, slow), {What: rowDrained, PerSecond: 250},
	}}
	compare(r.Rows)
	r.note(" \n")
	r.note("a remark")
	return r
}

func TestReport_Table(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := someReport().write(&out, "table"); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"2 cores", "64 clients", "p99 ms", "a remark", rowPlace + ": 3 × unavailable",
		rowPlace + "                500    40.0    40.0     0.50    0.00", "INCONSISTENT TOTALS",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestReport_JSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := someReport().write(&out, "json"); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 3 || *r.Rows[1].P50 != 40 || r.Rows[2].P50 != nil || r.Rows[2].RatioToBare != 0.25 || len(r.Notes) != 1 {
		t.Errorf("what came back: %s", out.String())
	}
}

func TestTotals_Consistent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		b    totals
		want bool
	}{
		{"all shipped", totals{InitialStock: 10, StockLeft: 7, Accepted: 3, Shipped: 3}, true},
		{"an order is missing", totals{InitialStock: 10, StockLeft: 7, Accepted: 3, Shipped: 2}, false},
		{"a unit too many was taken", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 3}, false},
		{"an order that nobody placed", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 4}, false},
		{"an unanswered call that became an order", totals{InitialStock: 10, StockLeft: 6, Accepted: 3, Shipped: 4, Unknown: 1}, true},
		{"an unanswered call that did not", totals{InitialStock: 10, StockLeft: 7, Accepted: 3, Shipped: 3, Unknown: 1}, true},
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
	if o.first.IsZero() || o.stopped.Before(o.first) {
		t.Errorf("first %v, stopped %v", o.first, o.stopped)
	}
}
