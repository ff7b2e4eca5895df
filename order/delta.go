package order

import (
	"fmt"
	"strconv"
	"strings"
)

// Delta is a change of one SKU's stock, in units; Units is negative for units that were taken.
type Delta struct {
	SKU   SKU
	Units int64
}

// Bought is what an order took of each SKU; Units are positive.
type Bought struct {
	ID    ID
	Units []Delta
}

// FormatDeltas writes deltas as "SKU:UNITS,SKU:UNITS", the form in Redis scripts, the journal and SQL. No deltas give
// "".
func FormatDeltas(deltas []Delta) string {
	var b strings.Builder
	for i, d := range deltas {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(d.SKU))
		b.WriteByte(':')
		b.WriteString(strconv.FormatInt(d.Units, 10))
	}
	return b.String()
}

// ParseDeltas is the inverse of FormatDeltas. It fails for text in any other form; "" gives no deltas.
func ParseDeltas(text string) ([]Delta, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	out := make([]Delta, len(parts))
	for i, p := range parts {
		sku, n, ok := strings.Cut(p, ":")
		units, err := strconv.ParseInt(n, 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("delta %q is not SKU:UNITS", p)
		}
		out[i] = Delta{SKU: SKU(sku), Units: units}
	}
	return out, nil
}
