package load

import "math"

// The curves that are not outcomes.
const (
	curveDurable = "time to durable"
	curveShipped = "time to shipped"
)

// curve is a percentile curve: the maximum latency of p percent of the calls.
type curve struct {
	name   string
	points []curvePoint
}

// curvePoint is the latency at a percentile; nines is -log10(1 - p/100), which spreads the tail.
type curvePoint struct{ nines, ms float64 }

const (
	// curveSteps is the number of points per nine.
	curveSteps = 12
	// maxNines ends the curves at 99.999 %.
	maxNines = 5
)

// appendCurve adds the histogram's curve up to the percentile that its number of values supports: 99.9 % need a
// thousand.
func appendCurve(curves []curve, name string, h histogram) []curve {
	n := h.count()
	if n == 0 {
		return curves
	}
	c := curve{name: name}
	end := min(math.Log10(float64(n)), maxNines)
	for i := 0; ; i++ {
		nines := min(float64(i)/curveSteps, end)
		c.points = append(c.points, curvePoint{nines: nines, ms: ms(h.at(100 * (1 - math.Pow(10, -nines))))})
		if nines >= end {
			break
		}
	}
	return append(curves, c)
}
