package shipping

import "github.com/spillway/spillway/order"

// The tariff in US cents: a base price by destination, and unitPrice for each of the first maxPaidUnits units. Further units are free.
const (
	domesticBase order.Cents = 499  // within the United States
	europeBase   order.Cents = 899  // to the European Union
	worldBase    order.Cents = 1299 // elsewhere
	unitPrice    order.Cents = 49
	maxPaidUnits             = 20
	shopCountry              = "US"
	shopCurrency             = order.Currency("USD")
)

// inEuropeanUnion reports whether the ISO 3166-1 alpha-2 code is that of a member state.
func inEuropeanUnion(code string) bool {
	switch code {
	case "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
		"MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK":
		return true
	}
	return false
}

// Cost returns the cost of shipping the items to the address, in US dollars. It has no side effects.
func Cost(to order.Address, items []order.Demand) order.Money {
	cost := worldBase
	switch {
	case to.CountryCode == shopCountry:
		cost = domesticBase
	case inEuropeanUnion(to.CountryCode):
		cost = europeBase
	}
	units := 0
	for _, d := range items {
		units += d.Quantity
	}
	return order.Money{Currency: shopCurrency, Amount: cost + unitPrice*order.Cents(min(units, maxPaidUnits))}
}
