package load

import "math"

// The curves that are no outcome.
const (
	curveDurable = "time to durable"
	curveShipped = "time to shipped"
)

// curve is a percentile curve: how long p percent took at most.
type curve struct {
	name   string
	points []curvePoint
}

// curvePoint is at a percentile; nines is -log10(1 - p/100), on which the tail has room.
type curvePoint struct{ nines, ms float64 }

const (
	// curveSteps is the number of points for each nine.
	curveSteps = 12
	// ninesMax ends the curves at 99.999 %.
	ninesMax = 5
)

// appendCurve adds the histogram's curve, as far as it has values enough to tell: 99.9 % need a thousand.
func appendCurve(curves []curve, name string, h histogram) []curve {
	n := h.count()
	if n == 0 {
		return curves
	}
	c := curve{name: name}
	end := min(math.Log10(float64(n)), ninesMax)
	for i := 0; ; i++ {
		nines := min(float64(i)/curveSteps, end)
		c.points = append(c.points, curvePoint{nines: nines, ms: ms(h.at(100 * (1 - math.Pow(10, -nines))))})
		if nines >= end {
			break
		}
	}
	return append(curves, c)
}
