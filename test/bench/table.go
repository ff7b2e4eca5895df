package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// table prints the report for a reader: speeds, CPU times, what only some rows have, and the comparison with the baseline.
func (r *report) table(out io.Writer) error {
	fmt.Fprintf(out, "%d cores, load generator and servers on them; %s; %s; %d clients, %d s each\n\n", r.Cores, r.Go, r.MySQL, r.Clients, r.Seconds)
	parts := []func(io.Writer){r.speeds, r.cpu}
	if r.Baseline != nil {
		parts = append(parts, r.Baseline.table)
	}
	for _, part := range parts {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		part(w)
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	for _, line := range r.Rows {
		if text := line.more(); text != "" {
			fmt.Fprintf(out, "%s: %s\n", line.Name, text)
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	_, err := fmt.Fprintln(out, r.Totals)
	return err
}

// nameWidth aligns the names on the left.
const nameWidth = 20

func (r *report) speeds(w io.Writer) {
	fmt.Fprintf(w, "%-*s\tper second\tto bare\tto SQL\tp50 ms\tp99 ms\t\n", nameWidth, "row")
	for _, line := range r.Rows {
		fmt.Fprintf(w, "%-*s\t%s\t%s\t%s\t%s\t%s\t\n", nameWidth, line.Name, positive(line.PerSecond, 0), positive(line.RatioToBare, 2),
			positive(line.RatioToSQL, 2), number(line.P50, 1), number(line.P99, 1))
	}
}

func (r *report) cpu(w io.Writer) {
	fmt.Fprintf(w, "%-*s\t%s\tsum\t\n", nameWidth, "CPU µs per order", strings.Join(processNames, "\t"))
	for _, line := range r.Rows {
		fmt.Fprintf(w, "%-*s\t", nameWidth, line.Name)
		sum := 0.0
		for _, name := range processNames {
			us, ok := line.CPU[name]
			sum += us
			if !ok {
				fmt.Fprint(w, "-\t")
				continue
			}
			fmt.Fprintf(w, "%.0f\t", us)
		}
		fmt.Fprintf(w, "%.0f\t\n", sum)
	}
}

// table compares the builds; the client's ratio shows how equal the machine was.
func (b *baseline) table(w io.Writer) {
	fmt.Fprintf(w, "%-*s\tper second\tbaseline\tratio\t%s\t\n", nameWidth, "ratio to baseline", strings.Join(processNames, "\t"))
	for _, c := range b.Ratios {
		i := slices.IndexFunc(b.Rows, func(r row) bool { return r.Name == c.Name })
		base := b.Rows[i].PerSecond
		fmt.Fprintf(w, "%-*s\t%.0f\t%.0f\t%.2f\t", nameWidth, c.Name, base*c.PerSecond, base, c.PerSecond)
		for _, name := range processNames {
			if c.CPU[name] == 0 {
				fmt.Fprint(w, "-\t")
				continue
			}
			fmt.Fprintf(w, "%.2f\t", c.CPU[name])
		}
		fmt.Fprintln(w)
	}
}

// more describes what only some rows have.
func (r row) more() string {
	var parts []string
	add := func(format string, v *float64) {
		if v != nil {
			parts = append(parts, fmt.Sprintf(format, *v))
		}
	}
	add("%.0f offered per second", r.OfferedPerSec)
	add("%.2f of the capacity accepted", r.GoodputShare)
	add("p99 is %.1f × that of half the load", r.P99ToHalf)
	add("refused within p50 %.1f ms", r.RefusedP50)
	add("p99 %.1f ms", r.RefusedP99)
	add("%.2f SHIPPED when the load stopped", r.ShippedShare)
	add("SHIPPED after p50 %.0f ms", r.ShippedP50)
	add("p99 %.0f ms", r.ShippedP99)
	add("response p50 %.1f ms", r.ResponseP50)
	add("p99 %.1f ms", r.ResponseP99)
	add("watchers' events within p99 %.0f ms", r.EventP99)
	add("%.2f of telemetry_off", r.RatioToOff)
	add("%.1f spans per order", r.SpansPerOrder)
	add("%.3f SQL statements per order", r.SQLPerOrder)
	add("%.3f log fsyncs per order", r.FsyncsPerOrder)
	add("%.0f mails per second", r.MailsPerSecond)
	add("%.0f afterwards", r.MailsAfter)
	if r.Mail != "" {
		parts = append(parts, "mail "+r.Mail)
	}
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		parts = append(parts, fmt.Sprintf("%d × %s", r.Errors[code], code))
	}
	return strings.Join(parts, ", ")
}

// positive formats a number that is 0 where a row has none.
func positive(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return number(&v, digits)
}

// number formats a number that a row may lack.
func number(v *float64, digits int) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, *v)
}
