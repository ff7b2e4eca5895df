package store

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/spillway/spillway/order"
)

// SKUUnits is a number of units of one SKU.
type SKUUnits struct {
	SKU   order.SKU
	Units int64
}

// Hold is what one journal entry did to the stock on behalf of an order: units are negative where it took them, positive where
// it gave them back.
type Hold struct {
	OrderID order.ID
	Units   []SKUUnits
}

// FormatHolds writes what stock_dedup_log.orders keeps, a line an entry: "ORDER SKU:UNITS,...". Without holds it is nil, which
// is null in SQL. SKUs have none of the separators in them: the API's rules see to that.
func FormatHolds(holds []Hold) []byte {
	var b bytes.Buffer
	for _, h := range holds {
		b.WriteString(string(h.OrderID))
		b.WriteByte(' ')
		b.WriteString(FormatUnits(h.Units))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ParseHolds reads what FormatHolds wrote. Nothing is no holds.
func ParseHolds(text []byte) ([]Hold, error) {
	var out []Hold
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		id, rest, ok := strings.Cut(line, " ")
		if !ok || id == "" {
			return nil, fmt.Errorf("%q is not of the form ORDER SKU:UNITS,...: %w", clip(line, 80), order.ErrInvalid)
		}
		units, err := ParseUnits(rest)
		if err != nil {
			return nil, fmt.Errorf("order %s: %w", clip(id, order.IDLen), err)
		}
		out = append(out, Hold{OrderID: order.ID(id), Units: units})
	}
	return out, nil
}

// FormatUnits writes "SKU:UNITS,...", as order_cancellations.units keeps it.
func FormatUnits(units []SKUUnits) string {
	var b strings.Builder
	for i, u := range units {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(u.SKU))
		b.WriteByte(':')
		b.WriteString(strconv.FormatInt(u.Units, 10))
	}
	return b.String()
}

// ParseUnits reads what FormatUnits wrote. The empty text is no units.
func ParseUnits(text string) ([]SKUUnits, error) {
	if text == "" {
		return nil, nil
	}
	parts := strings.Split(text, ",")
	out := make([]SKUUnits, len(parts))
	for i, p := range parts {
		colon := strings.LastIndexByte(p, ':')
		if colon < 1 {
			return nil, fmt.Errorf("%q is not of the form SKU:UNITS: %w", clip(p, 80), order.ErrInvalid)
		}
		n, err := strconv.ParseInt(p[colon+1:], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not of the form SKU:UNITS: %w", clip(p, 80), order.ErrInvalid)
		}
		out[i] = SKUUnits{SKU: order.SKU(p[:colon]), Units: n}
	}
	return out, nil
}
