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
	from, err := t.rate(m.Currency)
	if err != nil {
		return order.Money{}, err
	}
	target, err := t.rate(to)
	if err != nil {
		return order.Money{}, err
	}
	if m.Currency == to {
		return m, nil
	}
	// minor units of the source → units → euros → units of the target → its minor units
	x := new(big.Rat).SetFrac64(int64(m.Amount), m.Currency.MinorPerUnit())
	x.Quo(x, from)
	x.Mul(x, target)
	x.Mul(x, new(big.Rat).SetInt64(to.MinorPerUnit()))
	minor := round(x)
	if minor.Sign() == 0 {
		minor.SetInt64(int64(x.Sign()))
	}
	if !minor.IsInt64() {
		return order.Money{}, fmt.Errorf("%s is too much to convert to %s: %w", m, to, order.ErrInvalid)
	}
	return order.Money{Currency: to, Amount: order.Cents(minor.Int64())}, nil
}

// rate returns the rate of a currency, or order.ErrInvalid if it is not in the table.
func (t *Table) rate(c order.Currency) (*big.Rat, error) {
	r, ok := t.rates[c]
	if !ok {
		return nil, order.Refuse(order.ErrInvalid, order.ReasonUnsupportedCurrency,
			"currency %q is not supported; GetSupportedCurrencies lists those that are", string(c)).With("currency", string(c))
	}
	return r, nil
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
