package currency

import (
	"strings"

	"github.com/spillway/spillway/order"
)

// Rate is how many units of a currency one euro is, as a decimal number.
type Rate struct {
	Code  order.Currency
	Units string
}

// rateDigits are the decimal places of a rate, as in rateFormat.
const rateDigits = 12

// Rates returns the rates without the euro, sorted by currency.
func (t *Table) Rates() []Rate {
	out := make([]Rate, 0, len(t.rates))
	for _, code := range t.Codes() {
		if code != euro {
			units := strings.TrimRight(t.rates[code].FloatString(rateDigits), "0")
			out = append(out, Rate{Code: code, Units: strings.TrimSuffix(units, ".")})
		}
	}
	return out
}

// Rates returns the current rates without the euro, sorted by currency.
func (l *Live) Rates() []Rate { return l.table.Load().Rates() }
