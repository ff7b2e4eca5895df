package load

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spillway/spillway/order"
)

// maxShown is the maximum number of violations in the table; the JSON has more.
const maxShown = 20

// minReportedLag is the lag of the generator, in milliseconds, from which the table warns that this machine was too
// slow.
const minReportedLag = 20

// Write prints the result as "table" or "json".
func (r *Result) Write(w io.Writer, form string) error {
	if form == "json" {
		raw, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", order.PrintableJSON(raw))
		return err
	}
	return r.table(w)
}

// table writes the result as aligned text.
func (r *Result) table(w io.Writer) error {
	fmt.Fprintln(w, r.summary())
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, n int64, p Percentiles) {
		fmt.Fprintf(t, "%-34s\t%d\t%s\t\n", name, n, strings.Join(p.cells(), "\t"))
	}
	fmt.Fprintf(t, "%-34s\tcount\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tmax ms\t\n", "outcome, from the intended moment")
	for o := range outcomes {
		if out := r.Outcomes[o.String()]; out.Count > 0 || o == Accepted || o == SoldOut || o == Shed || o == Failed {
			row(strings.ReplaceAll(o.String(), "_", " "), out.Count, out.Latency)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Calls)) {
		row("one "+name+" call, as sent", r.Calls[name].Count, r.Calls[name])
	}
	row("time to durable", r.TimeToDurable.Arrived, r.TimeToDurable.Latency)
	row("time to shipped", r.TimeToShipped.Arrived, r.TimeToShipped.Latency)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range slices.Concat(r.remarks(), r.Record.lines(), r.Audit.lines(), []string{"", r.VerdictText()}) {
		fmt.Fprintln(w, order.Printable(line)) // A line may have a text of the server.
	}
	return nil
}

func (p Percentiles) cells() []string {
	out := []string{"-", "-", "-", "-", "-"}
	if p.Count > 0 {
		for i, v := range []float64{p.P50, p.P90, p.P99, p.P999, p.Max} {
			out[i] = strconv.FormatFloat(v, 'f', 1, 64)
		}
	}
	return out
}

// summary is the first line of the table.
func (r *Result) summary() string {
	text := fmt.Sprintf("%s at %s: %g arrivals/s (%s) for %s by %d buyers, seed %d; %d arrived, %d sent, %d retries",
		r.Scenario, r.URL, r.Rate, r.Arrivals, seconds(r.Duration), r.Buyers, r.Seed, r.Arrived, r.Sent, r.Retries)
	if r.SKU != "" {
		text += "; SKU " + r.SKU
	}
	if r.Stock > 0 {
		text += fmt.Sprintf(" of %d units", r.Stock)
	}
	return text
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

// remarks returns caveats about the validity of the table.
func (r *Result) remarks() []string {
	var out []string
	if len(r.Codes) > 0 {
		var parts []string
		for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
			parts = append(parts, fmt.Sprintf("%d × %s", r.Codes[code], code))
		}
		out = append(out, "error codes: "+strings.Join(parts, ", "))
	}
	if f := r.TimeToDurable; f.Followed > f.Arrived {
		out = append(
			out,
			fmt.Sprintf("%d of the %d orders that were looked for did not appear in their lists within %s", f.Followed-f.Arrived, f.Followed, probeTimeout),
		)
	}
	if f := r.TimeToShipped; f.Followed > f.Arrived {
		out = append(out, fmt.Sprintf("%d of %d accepted orders were not SHIPPED within --settle-wait", f.Followed-f.Arrived, f.Followed))
	}
	if r.Lag.P99 > minReportedLag {
		out = append(out, fmt.Sprintf("THIS MACHINE was late in sending by %.0f ms (p99): the latencies include that", r.Lag.P99))
	}
	if r.Interrupted {
		out = append(out, "interrupted: this is what was seen until then")
	}
	return append(out, "")
}

func (c RecordCheck) lines() []string {
	text := fmt.Sprintf("the client's record: %s: %d orders", c.Status, c.Orders)
	for _, state := range slices.Sorted(maps.Keys(c.States)) {
		text += fmt.Sprintf(", %d %s", c.States[state], state)
	}
	text += fmt.Sprintf("; %d sent again with the same key", c.Replayed)
	if c.Unacknowledged > 0 {
		text += fmt.Sprintf(", %d without acknowledgement", c.Unacknowledged)
	}
	if c.Violated > 0 {
		text += fmt.Sprintf(", %d VIOLATIONS", c.Violated)
	}
	return append([]string{text + noted(c.Note)}, listed(c.Violations)...)
}

func (a AuditCheck) lines() []string {
	out := []string{fmt.Sprintf("the shop's audit: %s", a.Status) + noted(a.Note)}
	for _, rule := range a.Rules {
		mark := "  "
		if rule.Violations > 0 {
			mark = "✗ "
		}
		out = append(out, fmt.Sprintf("  %s%-32s %d checked, %d violations", mark, rule.Rule, rule.Checked, rule.Violations))
	}
	return append(out, listed(a.Violations)...)
}

func noted(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}

// listed formats the first maxShown violations.
func listed(vs []Violation) []string {
	var out []string
	for _, v := range vs[:min(len(vs), maxShown)] {
		out = append(out, "  ✗ "+strings.Join(strings.Fields(v.Rule+" "+v.SKU+" "+v.OrderID), " ")+": "+v.Detail)
	}
	if more := len(vs) - maxShown; more > 0 {
		out = append(out, fmt.Sprintf("  … and %d more", more))
	}
	return out
}

// VerdictText returns the last line of the table.
func (r *Result) VerdictText() string {
	switch {
	case r.Verdict() == StatusViolated:
		return "VIOLATIONS FOUND"
	case r.Verdict() == StatusNotRun:
		return "the checks could not run"
	case r.Audit.Status != StatusOK:
		return "no violations in the client's record; the shop was not audited"
	}
	return "no violations"
}
