package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spillway/spillway/order"
)

// Delta is a change of one SKU's units, negative for what was taken.
type Delta struct {
	SKU   order.SKU
	Units int64
}

// Hold is what one journal entry took for an order, or gave back.
type Hold struct {
	OrderID order.ID
	Deltas  []Delta
}

// FormatHolds writes holds as stock_dedup_log keeps them: a line each, "ORDER SKU:UNITS,...". Nothing is nil.
func FormatHolds(holds []Hold) []byte {
	if len(holds) == 0 {
		return nil
	}
	var b strings.Builder
	for _, h := range holds {
		b.WriteString(string(h.OrderID))
		b.WriteByte(' ')
		b.WriteString(FormatUnits(h.Deltas))
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// ParseHolds reads what FormatHolds wrote.
func ParseHolds(text []byte) ([]Hold, error) {
	var out []Hold
	for line := range strings.Lines(string(text)) {
		id, units, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok {
			return nil, fmt.Errorf("hold %q has no space between order and units", line)
		}
		deltas, err := ParseUnits(units)
		if err != nil {
			return nil, err
		}
		out = append(out, Hold{OrderID: order.ID(id), Deltas: deltas})
	}
	return out, nil
}

// FormatUnits writes "SKU:UNITS,...".
func FormatUnits(deltas []Delta) string {
	parts := make([]string, len(deltas))
	for i, d := range deltas {
		parts[i] = string(d.SKU) + ":" + strconv.FormatInt(d.Units, 10)
	}
	return strings.Join(parts, ",")
}

// ParseUnits reads what FormatUnits wrote.
func ParseUnits(text string) ([]Delta, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	out := make([]Delta, len(parts))
	for i, p := range parts {
		sku, n, ok := strings.Cut(p, ":")
		units, err := strconv.ParseInt(n, 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is not SKU:UNITS", p)
		}
		out[i] = Delta{SKU: order.SKU(sku), Units: units}
	}
	return out, nil
}
