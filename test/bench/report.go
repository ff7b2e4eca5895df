package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// The names of the rows.
const (
	rowBare    = "bare Connect handler"
	rowPlace   = "PlaceOrder, one hot SKU"
	rowSQL     = "one SQL transaction an order"
	rowDrained = "drained: SHIPPED rows, in all"
	rowLoad    = "drained during the load"
	rowBacklog = "drained after it: the backlog"
)

// row is one line of the table. Latencies are those of successful calls; a drain has none.
type row struct {
	What        string         `json:"what"`
	PerSecond   float64        `json:"per_second"`
	P50         *float64       `json:"p50_ms,omitempty"`
	P99         *float64       `json:"p99_ms,omitempty"`
	RatioToBare float64        `json:"ratio_to_bare"`
	RatioToSQL  float64        `json:"ratio_to_sql"`
	Errors      map[string]int `json:"errors,omitempty"`
}

// report is the output of a run.
type report struct {
	Cores   int      `json:"cores"`
	Go      string   `json:"go"`
	MySQL   string   `json:"mysql"`
	Clients int      `json:"clients"`
	Seconds int      `json:"seconds"`
	Rows    []row    `json:"rows"`
	Totals  totals   `json:"books"`
	Notes   []string `json:"notes,omitempty"`
}

func newReport(c *runCmd, s *stage, bare, plain, placed outcome, d drained) *report {
	r := &report{
		Cores: runtime.NumCPU(), Go: runtime.Version(), MySQL: s.durability(), Clients: c.Clients, Seconds: c.Seconds,
		Rows: []row{
			measured(rowBare, bare), measured(rowPlace, placed), measured(rowSQL, plain),
			{What: rowDrained, PerSecond: d.perSecond()},
			{What: rowLoad, PerSecond: d.loadPerSecond()},
			{What: rowBacklog, PerSecond: d.backlogPerSecond()},
		},
	}
	compare(r.Rows)
	r.note(fmt.Sprintf("drain: %d orders in %.1f s, of them %d in %.1f s after the load stopped",
		d.shipped, d.whole.Seconds(), d.shipped-d.duringLoad, d.backlog.Seconds()))
	return r
}

func measured(what string, o outcome) row {
	p50, p99 := ms(percentile(o.latencies, 50)), ms(percentile(o.latencies, 99))
	return row{What: what, PerSecond: o.perSecond, P50: &p50, P99: &p99, Errors: o.errors}
}

// compare fills in the ratios.
func compare(rows []row) {
	per := make(map[string]float64, len(rows))
	for _, r := range rows {
		per[r.What] = r.PerSecond
	}
	for i := range rows {
		rows[i].RatioToBare = ratio(rows[i].PerSecond, per[rowBare])
		rows[i].RatioToSQL = ratio(rows[i].PerSecond, per[rowSQL])
	}
}

// note adds a remark, if it is not empty.
func (r *report) note(text string) {
	if text = strings.TrimSpace(text); text != "" {
		r.Notes = append(r.Notes, text)
	}
}

func (r *report) write(out io.Writer, form string) error {
	if form == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.table(out)
}

func (r *report) table(out io.Writer) error {
	fmt.Fprintf(out, "%d cores, load generator and servers on them; %s; %s; %d clients, %d s each\n\n", r.Cores, r.Go, r.MySQL, r.Clients, r.Seconds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%-30s\tper second\tp50 ms\tp99 ms\tto bare\tto SQL\t\n", "what")
	for _, line := range r.Rows {
		fmt.Fprintf(w, "%-30s\t%.0f\t%s\t%s\t%.2f\t%.2f\t\n", line.What, line.PerSecond, latency(line.P50), latency(line.P99), line.RatioToBare, line.RatioToSQL)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, line := range r.Rows {
		for _, code := range slices.Sorted(maps.Keys(line.Errors)) {
			fmt.Fprintf(out, "%s: %d × %s\n", line.What, line.Errors[code], code)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	_, err := fmt.Fprintln(out, r.Totals)
	return err
}

func latency(ms *float64) string {
	if ms == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *ms)
}

// String formats the totals with the verdict.
func (b totals) String() string {
	verdict := "INCONSISTENT TOTALS"
	if b.Close {
		verdict = "consistent totals"
	}
	text := fmt.Sprintf("%s: %d accepted, %d SHIPPED, stock %d - %d = %d", verdict, b.Accepted, b.Shipped, b.InitialStock, b.InitialStock-b.StockLeft, b.StockLeft)
	if b.Unknown > 0 {
		text += fmt.Sprintf("; %d calls without a definite response", b.Unknown)
	}
	if b.Foreign > 0 {
		text += fmt.Sprintf("; %d orders of other shops on the topic", b.Foreign)
	}
	return text
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
