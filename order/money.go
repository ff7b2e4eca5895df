package order

import (
	"fmt"
	"math"
)

// Cents is an amount in the minor unit of its currency: euro cents, whole yen. It is never a fraction.
type Cents int64

// Currency is an ISO 4217 code in capitals.
type Currency string

// Money is an exact amount in one currency.
type Money struct {
	// Currency is never empty in a valid amount.
	Currency Currency
	// Amount is in minor units.
	Amount Cents
}

// minorDigits holds the digits of the supported currencies that have no hundredths (ISO 4217).
var minorDigits = map[Currency]int{"JPY": 0, "KRW": 0, "ISK": 0}

// nanosPerUnit is the number of nanos in one unit of google.type.Money.
const nanosPerUnit = 1_000_000_000

// MinorDigits returns the number of decimal digits of the currency's minor unit: 2 for EUR, 0 for JPY.
func (c Currency) MinorDigits() int {
	if d, ok := minorDigits[c]; ok {
		return d
	}
	return 2
}

// MinorPerUnit returns the number of minor units in one unit: 100 for EUR, 1 for JPY.
func (c Currency) MinorPerUnit() int64 {
	n := int64(1)
	for range c.MinorDigits() {
		n *= 10
	}
	return n
}

// UnitsNanos splits the amount into whole units and nanos (billionths of a unit), both with the amount's sign.
func (m Money) UnitsNanos() (units int64, nanos int32) {
	per := m.Currency.MinorPerUnit()
	units = int64(m.Amount) / per
	rest := int64(m.Amount) % per
	return units, int32(rest * (nanosPerUnit / per)) //nolint:gosec // |rest| < per, so the product is below a billion.
}

// FromUnitsNanos makes an amount from whole units and nanos (billionths of a unit). It fails with ErrInvalid when the
// signs differ, when the amount is finer than the currency's minor unit, or when it overflows.
func FromUnitsNanos(c Currency, units int64, nanos int32) (Money, error) {
	per := c.MinorPerUnit()
	step := int64(nanosPerUnit) / per
	switch {
	case units > 0 && nanos < 0, units < 0 && nanos > 0:
		return Money{}, fmt.Errorf("units %d and nanos %d of %s differ in sign: %w", units, nanos, c, ErrInvalid)
	case int64(nanos)%step != 0:
		return Money{}, fmt.Errorf("nanos %d are finer than the minor unit of %s: %w", nanos, c, ErrInvalid)
	case units > math.MaxInt64/per-1, units < math.MinInt64/per+1:
		return Money{}, fmt.Errorf("%d %s is too much: %w", units, c, ErrInvalid)
	}
	return Money{Currency: c, Amount: Cents(units*per + int64(nanos)/step)}, nil
}

// Times returns c × n. It fails with ErrInvalid on overflow.
func (c Cents) Times(n int) (Cents, error) {
	if n == 0 || c == 0 {
		return 0, nil
	}
	p := c * Cents(n)
	if p/Cents(n) != c || (c == math.MinInt64 && n == -1) {
		return 0, fmt.Errorf("%d × %d does not fit: %w", c, n, ErrInvalid)
	}
	return p, nil
}

// Plus returns c + d. It fails with ErrInvalid on overflow.
func (c Cents) Plus(d Cents) (Cents, error) {
	s := c + d
	if (s > c) != (d > 0) && d != 0 {
		return 0, fmt.Errorf("%d + %d does not fit: %w", c, d, ErrInvalid)
	}
	return s, nil
}

// String formats the amount for logs and messages, such as "12.99 EUR".
func (m Money) String() string {
	per, amount, sign := m.Currency.MinorPerUnit(), int64(m.Amount), ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	if per == 1 {
		return fmt.Sprintf("%s%d %s", sign, amount, m.Currency)
	}
	return fmt.Sprintf("%s%d.%0*d %s", sign, amount/per, m.Currency.MinorDigits(), amount%per, m.Currency)
}
