package load

import (
	"bytes"
	"embed"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/markup"
)

//go:embed report.html.tmpl
var reportFiles embed.FS

const reportFile = "report.html.tmpl"

// page is the data of the template.
type page struct {
	*Result
	VerdictText string
	Tone        string // of the verdict: good, partly or bad
	Summary     string
	When        string
	Tiles       []tile
	Rows        []reportRow
	Remarks     []string
	Plots       []plot
	Checks      []check
	Width       float64
	Height      float64
	Left        float64
	Right       float64
	Top         float64
	Bottom      float64
}

type tile struct{ Label, Value, Class string }

type reportRow struct {
	Name, Class string
	Count       int64
	Cells       []string
}

type check struct {
	Title  string
	Status Status
	Lines  []string
	Rules  []AuditRule
}

// HTML writes the report as one page without external resources or scripts.
func (r *Result) HTML(w io.Writer) error {
	report, err := markup.HTML(reportFiles, reportFile)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := report.Execute(&out, r.page()); err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

func (r *Result) page() page {
	p := page{
		Result: r, VerdictText: r.VerdictText(), Tone: r.tone(), Summary: r.summary(), When: r.Started.Format(time.RFC1123), Remarks: clean(r.remarks()),
		Width: plotWidth, Height: plotHeight, Left: frameLeft, Right: frameRight, Top: frameTop, Bottom: frameBottom,
	}
	p.rows()
	followed := func(name string) bool { return name == curveDurable || name == curveShipped }
	p.Plots = []plot{
		r.ratePlot(), r.latencyPlot(),
		r.curvePlot("Percentiles", "From the intended moment, by outcome; both axes logarithmic.", func(n string) bool { return !followed(n) }),
		r.curvePlot("How long accepted orders take afterwards",
			"To durable: from the response until the order is in its buyer's list. To shipped: from its creation to SHIPPED, by the shop's clock.", followed),
	}
	p.Checks = []check{
		{Title: "The client's own record", Status: r.Record.Status, Lines: clean(r.Record.lines())},
		{Title: "The shop's audit", Status: r.Audit.Status, Lines: clean(r.Audit.lines()), Rules: r.Audit.Rules},
	}
	p.Checks[1].Lines = slices.DeleteFunc(p.Checks[1].Lines, func(l string) bool { return strings.Contains(l, " checked, ") })
	return p
}

// tone is good only if everything was checked.
func (r *Result) tone() string {
	switch {
	case r.Verdict() == StatusViolated:
		return "bad"
	case r.Verdict() == StatusOK && r.Audit.Status == StatusOK:
		return "good"
	}
	return "partly"
}

// clean removes empty lines.
func clean(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func (p *page) rows() {
	for o := range outcomes {
		out := p.Outcomes[o.String()]
		name := strings.ReplaceAll(o.String(), "_", " ")
		if out.Count > 0 {
			p.Rows = append(p.Rows, reportRow{Name: name, Class: o.String(), Count: out.Count, Cells: out.Latency.cells()})
		}
		if out.Count > 0 || o == Accepted || o == SoldOut || o == Shed || o == Failed {
			p.Tiles = append(p.Tiles, tile{Label: name, Value: grouped(out.Count), Class: o.String()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Calls)) {
		p.Rows = append(p.Rows, reportRow{Name: "one " + name + " call, as sent", Count: p.Calls[name].Count, Cells: p.Calls[name].cells()})
	}
	for name, f := range map[string]Follow{curveDurable: p.TimeToDurable, curveShipped: p.TimeToShipped} {
		p.Rows = append(p.Rows, reportRow{Name: name, Class: strings.ReplaceAll(name, " ", "-"), Count: f.Arrived, Cells: f.Latency.cells()})
	}
	slices.SortStableFunc(p.Rows, func(a, b reportRow) int { return followRank(a.Name) - followRank(b.Name) })
}

// followRank sorts the two follow-ups to the end, in the order of their events.
func followRank(name string) int {
	return slices.Index([]string{curveDurable, curveShipped}, name)
}

// grouped formats 1234567 as 1 234 567, with narrow spaces.
func grouped(n int64) string {
	digits := []rune(strconv.FormatInt(n, 10))
	var out []rune
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, '\u202f')
		}
		out = append(out, d)
	}
	return string(out)
}
