package orderjson

import (
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Decode reads the JSON of a message and reports whether it has handled it: m is then what protojson makes of data. Otherwise the content
// of m is undefined. m is reset first. Decode keeps no part of data.
func Decode(data []byte, m any) bool {
	place, ok := m.(*spillwayv1.PlaceOrderRequest)
	if !ok {
		return false
	}
	place.Reset()
	s := scanner{in: data}
	s.placeOrder(place)
	s.end()
	return !s.failed
}

func (s *scanner) placeOrder(m *spillwayv1.PlaceOrderRequest) {
	s.object(func(name []byte) uint {
		switch string(name) {
		case "lines":
			m.Lines = s.lines()
			return 1
		case "currencyCode":
			m.CurrencyCode = s.text()
			return 2
		case "email":
			m.Email = s.text()
			return 3
		case "shippingAddress":
			m.ShippingAddress = s.address()
			return 4
		case "card":
			m.Card = s.card()
			return 5
		case "idempotencyKey":
			m.IdempotencyKey = s.text()
			return 6
		case "expectedTotal":
			m.ExpectedTotal = s.money()
			return 7
		}
		return 0
	})
}

func (s *scanner) lines() (lines []*spillwayv1.Line) {
	// protojson reads longer requests, which the rule of PlaceOrderRequest then rejects.
	s.array(order.MaxLines, func() { lines = append(lines, s.line()) })
	return lines
}

func (s *scanner) line() *spillwayv1.Line {
	m := &spillwayv1.Line{}
	s.object(func(name []byte) uint {
		switch string(name) {
		case "sku":
			m.Sku = s.text()
			return 1
		case "quantity":
			m.Quantity = s.int32()
			return 2
		}
		return 0
	})
	return m
}

func (s *scanner) address() *spillwayv1.Address {
	m := &spillwayv1.Address{}
	s.object(func(name []byte) uint {
		switch string(name) {
		case "name":
			m.Name = s.text()
			return 1
		case "street":
			m.Street = s.text()
			return 2
		case "city":
			m.City = s.text()
			return 3
		case "region":
			m.Region = s.text()
			return 4
		case "postalCode":
			m.PostalCode = s.text()
			return 5
		case "countryCode":
			m.CountryCode = s.text()
			return 6
		}
		return 0
	})
	return m
}

func (s *scanner) card() *spillwayv1.Card {
	m := &spillwayv1.Card{}
	s.object(func(name []byte) uint {
		switch string(name) {
		case "number":
			m.Number = s.text()
			return 1
		case "cvv":
			m.Cvv = s.text()
			return 2
		case "expiryYear":
			m.ExpiryYear = s.int32()
			return 3
		case "expiryMonth":
			m.ExpiryMonth = s.int32()
			return 4
		}
		return 0
	})
	return m
}

func (s *scanner) money() *spillwayv1.Money {
	m := &spillwayv1.Money{}
	s.object(func(name []byte) uint {
		switch string(name) {
		case "currencyCode":
			m.CurrencyCode = s.text()
			return 1
		case "units":
			m.Units = s.int64()
			return 2
		case "nanos":
			m.Nanos = s.int32()
			return 3
		}
		return 0
	})
	return m
}
