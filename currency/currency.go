// Package currency converts money by euro reference rates, such as those of the European Central Bank. The rates of one
// day are embedded, and newer ones are read from a file; arithmetic is exact, with one rounding at the end.
package currency

import (
	_ "embed" // The rates are part of the program.
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
)

//go:embed rates.csv
var ratesCSV string

// euro is the base currency of all rates.
const euro order.Currency = "EUR"

// Table holds the rates of one day. It is immutable.
type Table struct {
	date  time.Time                   // 00:00 UTC of the day
	rates map[order.Currency]*big.Rat // units of the currency for one euro
	pairs map[pair]fraction           // derived from the rates
}

// Load returns the embedded rates.
func Load() (*Table, error) { return parse(ratesCSV, nil) }

// Date returns the day of the rates, as YYYY-MM-DD.
func (t *Table) Date() string { return t.date.Format(time.DateOnly) }

// Codes returns the currencies, sorted.
func (t *Table) Codes() []order.Currency {
	out := make([]order.Currency, 0, len(t.rates))
	for c := range t.rates {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// Convert converts an amount to another currency: exactly, through the euro, rounded once to the target's minor unit,
// half away from zero, as a customer would by hand. A nonzero amount stays at least one minor unit, because nothing is
// sold for free: 1 IDR is 0.01 EUR. It fails with order.ErrInvalid for an unknown currency or on overflow. An amount in
// the target currency is returned unchanged.
func (t *Table) Convert(m order.Money, to order.Currency) (order.Money, error) {
	if f, ok := t.pairs[pair{m.Currency, to}]; ok && m.Currency != to {
		if amount, ok := f.convert(m.Amount); ok {
			return order.Money{Currency: to, Amount: amount}, nil
		}
	}
	for _, c := range [...]order.Currency{m.Currency, to} {
		if err := t.known(c); err != nil {
			return order.Money{}, err
		}
	}
	if m.Currency == to {
		return m, nil
	}
	amount, ok := t.convertExactly(m, to)
	if !ok {
		return order.Money{}, fmt.Errorf("%s is too much to convert to %s: %w", m, to, order.ErrInvalid)
	}
	return order.Money{Currency: to, Amount: amount}, nil
}

// known returns order.ErrInvalid for a currency that is not in the table.
func (t *Table) known(c order.Currency) error {
	if _, ok := t.rates[c]; !ok {
		return order.Refuse(order.ErrInvalid, order.ReasonUnsupportedCurrency,
			"currency %q is not supported; GetSupportedCurrencies lists those that are", string(c)).With("currency", string(c))
	}
	return nil
}

// round returns the nearest integer, half away from zero: (2·|n| + d) / 2d, with the sign of n.
func round(x *big.Rat) *big.Int {
	n := new(big.Int).Abs(x.Num())
	n.Lsh(n, 1).Add(n, x.Denom())
	n.Quo(n, new(big.Int).Lsh(x.Denom(), 1))
	if x.Sign() < 0 {
		n.Neg(n)
	}
	return n
}
