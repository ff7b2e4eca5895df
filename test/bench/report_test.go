package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestReport_Compare(t *testing.T) {
	t.Parallel()
	rows := []row{{Name: rowBare, PerSecond: 1000}, {Name: rowBurst, PerSecond: 500}, {Name: rowSQL, PerSecond: 100}, {Name: rowBacklog}}
	compare(rows)
	for i, want := range [][2]float64{{1, 10}, {0.5, 5}, {0.1, 1}, {0, 0}} {
		if got := [2]float64{rows[i].RatioToBare, rows[i].RatioToSQL}; got != want {
			t.Errorf("%s: ratios %v, want %v", rows[i].Name, got, want)
		}
	}
	alone := []row{{Name: rowBurst, PerSecond: 500}}
	compare(alone)
	if alone[0].RatioToBare != 0 || alone[0].RatioToSQL != 0 {
		t.Errorf("ratios to nothing: %+v", alone[0])
	}
}

// someRun is a run of two builds in three rounds. The current build is twice as fast; the third round has an outlier.
func someRun() *run {
	r := &run{
		cmd: &runCmd{Clients: 64, Seconds: 5, Rounds: 3, Baseline: "old"}, stage: &stage{notes: []string{"a remark"}},
		mysql: "MySQL 9", capacity: map[string]float64{},
	}
	current, base := &build{name: buildCurrent}, &build{name: buildBaseline}
	for round, factor := range []float64{1, 1, 0.1} {
		fast := outcome{latencies: []time.Duration{2 * time.Millisecond}, perSecond: 1000}
		slow := outcome{latencies: []time.Duration{40 * time.Millisecond}, perSecond: 500 * factor, errors: map[string]int{"unavailable": 1}}
		bare, burst := measured(rowBare, fast), measured(rowBurst, slow)
		burst.CPU = map[string]float64{nameServe: 100 / factor, nameClient: 20}
		r.add(round+1, current, []row{bare})
		r.add(round+1, current, []row{burst, {Name: rowBacklog, PerSecond: 300, Mail: mailInStep, ShippedShare: ptr(0.5), MailsPerSecond: ptr(600)}})
		burst.PerSecond, burst.CPU = burst.PerSecond/2, map[string]float64{nameServe: 200 / factor, nameClient: 20}
		r.add(round+1, base, []row{burst})
	}
	return r
}

func TestReport_Table(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := newReport(someRun()).write(&out, "table"); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"2 cores", "64 clients", "p99 ms", "a remark", "accept_burst: 3 × unavailable", "INCONSISTENT TOTALS",
		"accept_burst                 500     0.50       -    40.0    40.0",
		"accept_burst            100     -      -       -       -      -     -     -      20  120",
		"accept_burst                 500       250   2.00   0.50     -      -       -       -      -     -     -    1.00",
		"drain_backlog: 0.50 SHIPPED when the load stopped, 600 mails per second, mail in step",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestReport_JSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := newReport(someRun()).write(&out, "json"); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Rows []struct {
			Name        string             `json:"name"`
			PerSecond   float64            `json:"per_second"`
			RatioToBare float64            `json:"ratio_to_bare"`
			RatioToSQL  *float64           `json:"ratio_to_sql"`
			P50         *float64           `json:"p50_ms"`
			P99         *float64           `json:"p99_ms"`
			CPU         map[string]float64 `json:"cpu_us_per_order"`
			Mails       *float64           `json:"mails_per_second"`
			Share       *float64           `json:"shipped_share"`
		} `json:"rows"`
		Baseline struct {
			Rows   []row
			Ratios []comparison
		}
		Rounds []result
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 3 || len(r.Rounds) != 12 || len(r.Baseline.Rows) != 1 || len(r.Baseline.Ratios) != 1 {
		t.Fatalf("what came back: %s", out.String())
	}
	burst, drain := r.Rows[1], r.Rows[2]
	if burst.Name != rowBurst || burst.PerSecond != 500 || burst.RatioToBare != 0.5 || burst.RatioToSQL == nil ||
		*burst.P50 != 40 || *burst.P99 != 40 || burst.CPU[nameServe] != 100 {
		t.Errorf("the row of a load: %+v", burst)
	}
	if drain.P50 != nil || *drain.Mails != 600 || *drain.Share != 0.5 {
		t.Errorf("the row of a drain: %+v", drain)
	}
	if c := r.Baseline.Ratios[0]; c.PerSecond != 2 || c.CPU[nameServe] != 0.5 || c.CPU[nameClient] != 1 {
		t.Errorf("the comparison: %+v", c)
	}
}
