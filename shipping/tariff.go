package shipping

import (
	"github.com/spillway/spillway/order"
)

// The tariff, in US cents: a base by where the parcel goes, and a little for each unit, up to a bound beyond which the shop
// pays.
const (
	shipDomestic  order.Cents = 499  // within the United States
	shipEurope    order.Cents = 899  // to the European Union
	shipWorld     order.Cents = 1299 // elsewhere
	shipUnit      order.Cents = 49
	shipUnitsPaid             = 20
	shopCountry               = "US"
	shopCurrency              = order.Currency("USD")
)

// inEuropeanUnion says whether the ISO 3166-1 code is a member's.
func inEuropeanUnion(code string) bool {
	switch code {
	case "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
		"MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK":
		return true
	}
	return false
}

// Cost is what shipping the items to the address costs, in US dollars.
func Cost(to order.Address, items []order.Demand) order.Money {
	cost := shipWorld
	switch {
	case to.CountryCode == shopCountry:
		cost = shipDomestic
	case inEuropeanUnion(to.CountryCode):
		cost = shipEurope
	}
	units := 0
	for _, d := range items {
		units += d.Quantity
	}
	return order.Money{Currency: shopCurrency, Amount: cost + shipUnit*order.Cents(min(units, shipUnitsPaid))}
}
