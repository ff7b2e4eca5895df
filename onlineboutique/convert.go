package onlineboutique

import (
	"fmt"
	"strconv"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

func moneyMessage(m *spillwayv1.Money) *hipstershop.Money {
	return &hipstershop.Money{CurrencyCode: m.GetCurrencyCode(), Units: m.GetUnits(), Nanos: m.GetNanos()}
}

// nanosPerUnit is the number of nanos of one unit.
const nanosPerUnit = 1_000_000_000

// roundedMoney returns the amount rounded to the minor unit of its currency, half away from zero; nil for none. An amount that is not valid is
// returned unchanged, to be refused.
func roundedMoney(m *hipstershop.Money) *spillwayv1.Money {
	if m == nil {
		return nil
	}
	out := &spillwayv1.Money{CurrencyCode: m.GetCurrencyCode(), Units: m.GetUnits(), Nanos: m.GetNanos()}
	if m.GetNanos() <= -nanosPerUnit || m.GetNanos() >= nanosPerUnit {
		return out
	}
	step := nanosPerUnit / order.Currency(m.GetCurrencyCode()).MinorPerUnit()
	half := step / 2
	if m.GetNanos() < 0 {
		half = -half
	}
	nanos := (int64(m.GetNanos()) + half) / step * step
	out.Units += nanos / nanosPerUnit       // An overflow makes the signs differ, which is refused.
	out.Nanos = int32(nanos % nanosPerUnit) //nolint:gosec // It is less than a unit.
	return out
}

// linesOf returns the items as lines of Spillway's.
func linesOf(items []*hipstershop.CartItem) []*spillwayv1.Line {
	out := make([]*spillwayv1.Line, len(items))
	for i, item := range items {
		out[i] = &spillwayv1.Line{Sku: item.GetProductId(), Quantity: item.GetQuantity()}
	}
	return out
}

// addressOf returns the address of a parcel. The interface has no name of the person who receives it.
func addressOf(a *hipstershop.Address, name string) (*spillwayv1.Address, error) {
	if a == nil {
		return nil, nil //nolint:nilnil // The rules of the request decide whether it needs one.
	}
	code, err := countryCode(a.GetCountry())
	if err == nil && a.GetZipCode() < 0 {
		err = order.InField("zipCode", order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "zip_code must not be negative"))
	}
	if err != nil {
		return nil, err
	}
	return &spillwayv1.Address{
		Name: name, Street: a.GetStreetAddress(), City: a.GetCity(), Region: a.GetState(), PostalCode: postalCode(code, a.GetZipCode()), CountryCode: code,
	}, nil
}

// fiveDigits are countries with postal codes of five digits. A number has lost their leading zeros: Boston's is 02108.
var fiveDigits = map[string]bool{"US": true, "DE": true, "FR": true, "IT": true, "ES": true}

// postalCode returns the postal code as written in the country; empty for 0.
func postalCode(country string, code int32) string {
	switch {
	case code == 0:
		return ""
	case fiveDigits[country]:
		return fmt.Sprintf("%05d", code)
	}
	return strconv.Itoa(int(code))
}

// cardOf returns the card. The interface has the code on it as a number, which has lost its leading zeros.
func cardOf(c *hipstershop.CreditCardInfo) *spillwayv1.Card {
	return &spillwayv1.Card{
		Number: c.GetCreditCardNumber(), Cvv: fmt.Sprintf("%03d", c.GetCreditCardCvv()),
		ExpiryYear: c.GetCreditCardExpirationYear(), ExpiryMonth: c.GetCreditCardExpirationMonth(),
	}
}
