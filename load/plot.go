package load

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The size of the plots in SVG units. The frame leaves space for the labels.
const (
	plotWidth, plotHeight = 860.0, 280.0
	frameLeft, frameTop   = 64.0, 12.0
	frameRight            = plotWidth - 14
	frameBottom           = plotHeight - 40
)

// plot is the data that the template draws.
type plot struct {
	Title, Note    string
	XLabel, YLabel string
	XTicks, YTicks []tick
	Areas, Lines   []shape
	Legend         []shape
	Empty          bool
}

type tick struct {
	At    float64
	Label string
}

// shape is a filled or stroked path with the colour of its class.
type shape struct{ Name, Class, Path string }

// scale maps values to positions on the plot.
type scale struct {
	from, to   float64 // values
	start, end float64 // on the plot
	log        bool
}

func (s scale) at(v float64) float64 {
	from, to := s.from, s.to
	if s.log {
		v, from, to = math.Log10(max(v, s.from)), math.Log10(from), math.Log10(to)
	}
	return s.start + (v-from)/(to-from)*(s.end-s.start)
}

// niceStep returns 1, 2 or 5 times a power of ten, so that about n steps fill the range.
func niceStep(length float64, n int) float64 {
	raw := length / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw {
			return m * power
		}
	}
	return 10 * power
}

func (s scale) ticks(n int, label func(v float64) string) []tick {
	var out []tick
	if s.log {
		for v := s.from; v <= s.to*1.001; v *= 10 {
			out = append(out, tick{At: s.at(v), Label: label(v)})
		}
		return out
	}
	step := niceStep(s.to-s.from, n)
	for i := 0.0; s.from+i*step <= s.to*1.001; i++ {
		out = append(out, tick{At: s.at(s.from + i*step), Label: label(s.from + i*step)})
	}
	return out
}

func linearX(to float64) scale { return scale{from: 0, to: to, start: frameLeft, end: frameRight} }

// linearY leaves some space above the largest value.
func linearY(largest float64) scale {
	step := niceStep(max(largest, 1), 5)
	return scale{from: 0, to: math.Ceil(max(largest, 1)/step) * step, start: frameBottom, end: frameTop}
}

// latencyY is logarithmic, in whole decades, to show a tail of seconds beside a median of milliseconds.
func latencyY(smallest, largest float64) scale {
	from := math.Pow(10, math.Floor(math.Log10(max(smallest, 0.01))))
	to := math.Pow(10, math.Ceil(math.Log10(max(largest, from*1.01))))
	return scale{from: from, to: to, start: frameBottom, end: frameTop, log: true}
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func latencyLabel(ms float64) string {
	if ms >= 1000 {
		return plain(ms/1000) + " s"
	}
	return plain(ms) + " ms"
}

// path returns an SVG path through the points; NaN ends a segment.
func path(points [][2]float64) string {
	var b strings.Builder
	pen := "M"
	for _, p := range points {
		if math.IsNaN(p[1]) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, p[0], p[1])
		pen = "L"
	}
	return b.String()
}

// ratePlot stacks the outcomes of the arrivals over time.
func (r *Result) ratePlot() plot {
	p := plot{Title: "Arrivals a second, by what became of them", XLabel: "seconds since the start, when they were meant to be sent", YLabel: "per second"}
	largest := 0.0
	for _, pt := range r.Series {
		sum := 0.0
		for _, n := range pt.Counts {
			sum += float64(n)
		}
		largest = max(largest, sum/pt.Width)
	}
	x, y := linearX(r.Duration), linearY(largest)
	base := make([]float64, len(r.Series))
	for o := range outcomes {
		if r.Outcomes[o.String()].Count == 0 {
			continue
		}
		var up, down [][2]float64
		for i, pt := range r.Series {
			low := y.at(base[i])
			base[i] += float64(pt.Counts[o.String()]) / pt.Width
			from, to := x.at(pt.At), x.at(min(pt.At+pt.Width, r.Duration))
			up = append(up, [2]float64{from, y.at(base[i])}, [2]float64{to, y.at(base[i])})
			down = append(down, [2]float64{from, low}, [2]float64{to, low})
		}
		slices.Reverse(down)
		s := shape{Name: strings.ReplaceAll(o.String(), "_", " "), Class: o.String(), Path: path(append(up, down...)) + "Z"}
		p.Areas = append(p.Areas, s)
	}
	p.Legend, p.Empty = p.Areas, len(p.Areas) == 0
	p.XTicks, p.YTicks = x.ticks(10, plain), y.ticks(5, plain)
	return p
}

// latencyPlot shows the latency percentiles over time.
func (r *Result) latencyPlot() plot {
	p := plot{
		Title: "Latency over time", Note: "All arrivals that had an outcome, from the intended moment; logarithmic.",
		XLabel: "seconds since the start, when they were meant to be sent", YLabel: "latency",
	}
	smallest, largest := math.Inf(1), 0.0
	for _, pt := range r.Series {
		if pt.LatencyMS.Count > 0 {
			smallest, largest = min(smallest, pt.LatencyMS.P50), max(largest, pt.LatencyMS.Max)
		}
	}
	if p.Empty = largest == 0; p.Empty {
		return p
	}
	x, y := linearX(r.Duration), latencyY(smallest, largest)
	for _, l := range []struct {
		name, class string
		of          func(Percentiles) float64
	}{
		{"max", "max", func(p Percentiles) float64 { return p.Max }},
		{"p99", "p99", func(p Percentiles) float64 { return p.P99 }},
		{"p90", "p90", func(p Percentiles) float64 { return p.P90 }},
		{"p50", "p50", func(p Percentiles) float64 { return p.P50 }},
	} {
		var points [][2]float64
		for _, pt := range r.Series {
			v := math.NaN()
			if pt.LatencyMS.Count > 0 {
				v = y.at(l.of(pt.LatencyMS))
			}
			points = append(points, [2]float64{x.at(min(pt.At+pt.Width/2, r.Duration)), v})
		}
		p.Lines = append(p.Lines, shape{Name: l.name, Class: l.class, Path: path(points)})
	}
	p.Legend = p.Lines
	p.XTicks, p.YTicks = x.ticks(10, plain), y.ticks(0, latencyLabel)
	return p
}

// curvePlot shows the percentile curves of the selected names.
func (r *Result) curvePlot(title, note string, want func(name string) bool) plot {
	p := plot{Title: title, Note: note, XLabel: "percentile", YLabel: "at most"}
	smallest, largest, nines := math.Inf(1), 0.0, 1.0
	for _, c := range r.curves {
		if want(c.name) {
			last := c.points[len(c.points)-1]
			smallest, largest, nines = min(smallest, c.points[0].ms), max(largest, last.ms), max(nines, last.nines)
		}
	}
	if p.Empty = math.IsInf(smallest, 1); p.Empty {
		return p
	}
	x, y := linearX(nines), latencyY(smallest, largest)
	for _, c := range r.curves {
		if !want(c.name) {
			continue
		}
		var points [][2]float64
		for _, pt := range c.points {
			points = append(points, [2]float64{x.at(pt.nines), y.at(pt.ms)})
		}
		p.Lines = append(p.Lines, shape{Name: strings.ReplaceAll(c.name, "_", " "), Class: strings.ReplaceAll(c.name, " ", "-"), Path: path(points)})
	}
	p.Legend = p.Lines
	for _, at := range []float64{0, 50, 75, 90, 99, 99.9, 99.99, 99.999} {
		if n := -math.Log10(1 - at/100); n <= nines*1.001 {
			p.XTicks = append(p.XTicks, tick{At: x.at(n), Label: plain(at) + " %"})
		}
	}
	p.YTicks = y.ticks(0, latencyLabel)
	return p
}
