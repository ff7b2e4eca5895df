package wire

import (
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Money converts an amount to its message.
func Money(m order.Money) *spillwayv1.Money {
	units, nanos := m.UnitsNanos()
	return &spillwayv1.Money{CurrencyCode: string(m.Currency), Units: units, Nanos: nanos}
}

// FromMoney converts a message to an amount. It fails with order.ErrInvalid when the amount is missing, when units and
// nanos differ in sign, or when it is finer than the currency's minor unit.
func FromMoney(m *spillwayv1.Money) (order.Money, error) {
	if m == nil || m.GetCurrencyCode() == "" {
		return order.Money{}, fmt.Errorf("an amount with its currencyCode is needed: %w", order.ErrInvalid)
	}
	return order.FromUnitsNanos(order.Currency(m.GetCurrencyCode()), m.GetUnits(), m.GetNanos())
}
