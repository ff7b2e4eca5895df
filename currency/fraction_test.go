package currency

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
)

// wantExact compares the fraction of a pair with big.Rat. It reports whether the fraction converted the amount.
func wantExact(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, table *Table, m order.Money, to order.Currency,
) (converted bool) {
	t.Helper()
	want, fits := table.convertExactly(m, to)
	got, ok := table.pairs[pair{m.Currency, to}].convert(m.Amount)
	if ok && (!fits || got != want) {
		t.Fatalf("%d %s in %s is %d by the fraction; want %d (fits: %t)", m.Amount, m.Currency, to, got, want, fits)
	}
	return ok
}

// TestFraction_EmbeddedRates checks that the fractions of the embedded rates convert every amount that an order can have, around each
// power of ten and around the amounts that are rounded from a half.
func TestFraction_EmbeddedRates(t *testing.T) {
	t.Parallel()
	table := load(t)
	for p, f := range table.pairs {
		for amount := order.Cents(1); amount <= 1e13; amount *= 10 {
			for _, m := range []order.Cents{amount, amount - 1, amount + 1, -amount, amount * 7 / 3, order.Cents(f.den / 2), order.Cents(f.den)} {
				if m > 1e13 {
					continue
				}
				if !wantExact(t, table, order.Money{Currency: p.from, Amount: m}, p.to) {
					t.Errorf("%d %s in %s needs big.Rat", m, p.from, p.to)
				}
			}
		}
	}
}

// TestFraction_AnyRates compares the fractions of arbitrary rates, of up to 12 digits on each side, with big.Rat: for arbitrary amounts, and
// for those that lie next to a half of a minor unit.
func TestFraction_AnyRates(t *testing.T) {
	t.Parallel()
	rate := rapid.StringMatching(`(0|[1-9][0-9]{0,11})(\.[0-9]{0,11}[1-9])?`).Filter(func(s string) bool { return s != "0" })
	codes := []order.Currency{euro, "USD", "JPY", "KRW"} // with and without decimals
	rapid.Check(t, func(r *rapid.T) {
		text := "base,EUR\ndate,2025-01-02\n"
		for _, c := range codes[1:] {
			text += fmt.Sprintf("%s,%s\n", c, rate.Draw(r, string(c)))
		}
		table, err := parse(text, nil)
		if err != nil {
			r.Fatal(err)
		}
		from, to := rapid.SampledFrom(codes).Draw(r, "from"), rapid.SampledFrom(codes).Draw(r, "to")
		amount := order.Cents(rapid.Int64().Draw(r, "amount"))
		if rapid.Bool().Draw(r, "near a half") {
			// The amount for which amount × num / den is about n + 1/2.
			f, n := table.exact(order.Money{Currency: from, Amount: 1}, to), rapid.Int64Range(0, 1<<40).Draw(r, "n")
			half := new(big.Rat).SetFrac64(2*n+1, 2)
			half.Quo(half, f)
			near := new(big.Int).Quo(half.Num(), half.Denom())
			if !near.IsInt64() {
				return
			}
			amount = order.Cents(near.Int64()) + order.Cents(rapid.Int64Range(-1, 1).Draw(r, "beside"))
		}
		m := order.Money{Currency: from, Amount: amount}
		wantExact(r, table, m, to)
		got, err := table.Convert(m, to)
		if want, fits := table.convertExactly(m, to); fits != (err == nil) || fits && got.Amount != want {
			r.Fatalf("%s in %s is %v, %v; want %d (fits: %t)", m, to, got, err, want, fits)
		}
	})
}

// TestFraction_Halves checks the rounding of exact halves, and what does not fit.
func TestFraction_Halves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f        fraction
		in, want order.Cents
		fits     bool
	}{
		{fraction{1, 2}, 1, 1, true},
		{fraction{1, 2}, -1, -1, true},
		{fraction{1, 2}, 3, 2, true},
		{fraction{1, 2}, -3, -2, true},
		{fraction{1, 3}, 4, 1, true},
		{fraction{1, 3}, 5, 2, true},
		{fraction{1, 1000}, 1, 1, true}, // nothing is free
		{fraction{1, 1000}, -1, -1, true},
		{fraction{1, 1000}, 0, 0, true},
		{fraction{1, 1}, math.MaxInt64, math.MaxInt64, true},
		{fraction{1, 1}, math.MinInt64, 0, false},
		{fraction{2, 1}, math.MaxInt64, 0, false},
		{fraction{math.MaxUint64, math.MaxUint64 - 1}, 1 << 40, 1 << 40, true},
		{fraction{math.MaxUint64 - 1, math.MaxUint64}, 1, 1, true}, // the remainder is above 2^63
		{fraction{}, 1, 0, false},
	} {
		if got, fits := c.f.convert(c.in); got != c.want || fits != c.fits {
			t.Errorf("%d × %d/%d = %d, %t; want %d, %t", c.in, c.f.num, c.f.den, got, fits, c.want, c.fits)
		}
	}
}

func BenchmarkTable_Convert(b *testing.B) {
	table, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	m := order.Money{Currency: "USD", Amount: 1999}
	b.Run("fraction", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = table.Convert(m, "EUR")
		}
	})
	b.Run("big.Rat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = table.convertExactly(m, "EUR")
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			_, _ = Load()
		}
	})
}
