package order_test

import (
	"errors"
	"testing"

	"github.com/spillway/spillway/order"
)

// FuzzFromUnitsNanos checks that every accepted amount is exact: it splits into the same units and nanos.
func FuzzFromUnitsNanos(f *testing.F) {
	f.Add("EUR", int64(12), int32(990_000_000))
	f.Add("JPY", int64(-120), int32(0))
	f.Add("EUR", int64(1<<62), int32(-1))
	f.Fuzz(func(t *testing.T, currency string, units int64, nanos int32) {
		m, err := order.FromUnitsNanos(order.Currency(currency), units, nanos)
		if err != nil {
			if !errors.Is(err, order.ErrInvalid) {
				t.Errorf("%v", err)
			}
			return
		}
		gotUnits, gotNanos := m.UnitsNanos()
		carry := int64(nanos / 1_000_000_000)
		if gotUnits != units+carry || gotNanos != nanos%1_000_000_000 {
			t.Errorf("%d units and %d nanos of %q became %v, which is %d and %d", units, nanos, currency, m, gotUnits, gotNanos)
		}
	})
}
