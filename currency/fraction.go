package currency

import (
	"math/big"
	"math/bits"

	"github.com/spillway/spillway/order"
)

// pair is a conversion.
type pair struct{ from, to order.Currency }

// fraction is what one minor unit of a currency is in minor units of another one: num/den, in lowest terms. den is 0 if one of the numbers
// has more than 64 bits; then the conversion uses big.Rat.
type fraction struct{ num, den uint64 }

// fractions returns the fraction of each pair of the table's currencies, some 30 × 30.
func (t *Table) fractions() map[pair]fraction {
	out := make(map[pair]fraction, len(t.rates)*len(t.rates))
	perEuro := make(map[order.Currency]*big.Rat, len(t.rates)) // minor units for one euro
	for c, rate := range t.rates {
		perEuro[c] = new(big.Rat).Mul(rate, new(big.Rat).SetInt64(c.MinorPerUnit()))
	}
	for from, source := range perEuro {
		for to, target := range perEuro {
			x := new(big.Rat).Quo(target, source)
			f := fraction{}
			if x.Num().IsUint64() && x.Denom().IsUint64() {
				f = fraction{num: x.Num().Uint64(), den: x.Denom().Uint64()}
			}
			out[pair{from, to}] = f
		}
	}
	return out
}

// convert returns the amount in the other currency, rounded as Table.Convert does. It is exact, in 128 bits and without an allocation; ok is
// false if the fraction or the result does not fit.
func (f fraction) convert(amount order.Cents) (converted order.Cents, ok bool) {
	if f.den == 0 {
		return 0, false
	}
	size := uint64(amount) //nolint:gosec // The next lines make the absolute value of it, also of the smallest number.
	if amount < 0 {
		size = -size
	}
	high, low := bits.Mul64(size, f.num)
	if high >= f.den {
		return 0, false
	}
	whole, rest := bits.Div64(high, low, f.den)
	if rest >= f.den-rest { // Half of a minor unit, or more.
		whole++
	}
	if whole == 0 && size != 0 {
		whole = 1
	}
	if whole > maxMinor {
		return 0, false
	}
	if amount < 0 {
		return -order.Cents(whole), true
	}
	return order.Cents(whole), true
}

// maxMinor bounds what fraction.convert returns, in minor units. More is left to big.Rat, which knows where int64 ends.
const maxMinor = 1<<63 - 1

// exact returns the amount in minor units of the other currency, without rounding. Both currencies must be in the table.
func (t *Table) exact(m order.Money, to order.Currency) *big.Rat {
	// minor units of the source → units → euros → units of the target → its minor units
	x := new(big.Rat).SetFrac64(int64(m.Amount), m.Currency.MinorPerUnit())
	x.Quo(x, t.rates[m.Currency])
	x.Mul(x, t.rates[to])
	return x.Mul(x, new(big.Rat).SetInt64(to.MinorPerUnit()))
}

// convertExactly converts by big.Rat. Both currencies must be in the table. It returns false on overflow.
func (t *Table) convertExactly(m order.Money, to order.Currency) (order.Cents, bool) {
	x := t.exact(m, to)
	minor := round(x)
	if minor.Sign() == 0 {
		minor.SetInt64(int64(x.Sign()))
	}
	return order.Cents(minor.Int64()), minor.IsInt64()
}
