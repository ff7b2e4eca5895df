package store

import (
	"fmt"
	"strings"

	"github.com/spillway/spillway/order"
)

// Hold is what one journal entry took for an order, or gave back.
type Hold struct {
	OrderID order.ID
	Deltas  []order.Delta
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
		b.WriteString(order.FormatDeltas(h.Deltas))
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
		deltas, err := order.ParseDeltas(units)
		if err != nil {
			return nil, err
		}
		out = append(out, Hold{OrderID: order.ID(id), Deltas: deltas})
	}
	return out, nil
}
