package order

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SKU is a stock keeping unit: what a product is called where it is counted.
type SKU string

// CustomerID names who orders. It comes from the bearer token and from nowhere else.
type CustomerID string

const (
	// MaxQuantity bounds the units of one SKU in one order: more is a wholesale matter or a mistake.
	MaxQuantity = 1000
	// DefaultMaxPerCustomer is how many units of a product one customer may order within a day where the product does not say.
	DefaultMaxPerCustomer = 10
	// MaxLines bounds the SKUs of one order, and so the work of one reservation script.
	MaxLines = 100
)

// Line is one SKU of an order, with the price at which it was sold.
type Line struct {
	SKU  SKU
	Name string
	// Quantity is in units, 1 to MaxQuantity.
	Quantity int
	// UnitPrice is in minor units of the order's currency.
	UnitPrice Cents
}

// Total is Quantity × UnitPrice. New checked that it fits.
func (l Line) Total() Cents { return l.UnitPrice * Cents(l.Quantity) }

// Address is where a parcel goes.
type Address struct {
	Name, Street, City, Region, PostalCode string
	// CountryCode is ISO 3166-1 alpha-2.
	CountryCode string
}

// The beginnings of cancel reasons that say more than that: the code of the decline, and the order whose key it was, follow.
const (
	ReasonDeclined  = "card_declined: "
	ReasonDuplicate = "duplicate of "
)

// Order is what was bought, at which prices, and how far it came.
type Order struct {
	ID         ID
	CustomerID CustomerID
	State      State
	// Lines hold each SKU once, sorted by SKU.
	Lines []Line
	// Currency is that of all amounts below and of the lines.
	Currency      Currency
	ItemsTotal    Cents
	ShippingTotal Cents
	Total         Cents
	Email         string
	Address       Address
	TrackingID    string
	// IdempotencyKey and Fingerprint tell a retry from another request (I4).
	IdempotencyKey string
	Fingerprint    []byte
	// CancelReason is why a CANCELLED order was cancelled.
	CancelReason string
	// Refunded is what was given back, and RefundPending what is to be given back and is not confirmed by the provider.
	Refunded, RefundPending Cents
	// ExpiresAt is until when a PENDING order without a card can be paid; zero for one with a card.
	ExpiresAt time.Time
	// CreatedAt and UpdatedAt are UTC, to the microsecond, as SQL keeps them.
	CreatedAt, UpdatedAt time.Time
}

// Demand is how many units of a SKU are asked for.
type Demand struct {
	SKU      SKU
	Quantity int
}

// SumDemand adds up the demand of each SKU (two lines of one SKU are one demand, so that both are checked
// together) and sorts by SKU. It refuses quantities out of bounds and too many SKUs.
func SumDemand(lines []Demand) ([]Demand, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("an order needs at least one line: %w", ErrInvalid)
	}
	if len(lines) > MaxLines {
		return nil, fmt.Errorf("an order has at most %d lines, not %d: %w", MaxLines, len(lines), ErrInvalid)
	}
	sum := make(map[SKU]int, len(lines))
	for _, l := range lines {
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			return nil, fmt.Errorf("quantity of %s must be 1 to %d, not %d: %w", l.SKU, MaxQuantity, l.Quantity, ErrInvalid)
		}
		if sum[l.SKU] += l.Quantity; sum[l.SKU] > MaxQuantity {
			return nil, fmt.Errorf("all lines of %s together may ask for at most %d: %w", l.SKU, MaxQuantity, ErrInvalid)
		}
	}
	out := make([]Demand, 0, len(sum))
	for sku, n := range sum {
		out = append(out, Demand{SKU: sku, Quantity: n})
	}
	slices.SortFunc(out, func(a, b Demand) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	return out, nil
}

// Price sets the totals from the lines and the cost of shipping. It fails when a sum does not fit.
func (o *Order) Price(shipping Cents) error {
	var items Cents
	for _, l := range o.Lines {
		t, err := l.UnitPrice.Times(l.Quantity)
		if err != nil {
			return fmt.Errorf("line %s: %w", l.SKU, err)
		}
		if items, err = items.Plus(t); err != nil {
			return fmt.Errorf("items: %w", err)
		}
	}
	total, err := items.Plus(shipping)
	if err != nil {
		return fmt.Errorf("total: %w", err)
	}
	o.ItemsTotal, o.ShippingTotal, o.Total = items, shipping, total
	return nil
}

// Demand is what the order takes from the stock.
func (o *Order) Demand() []Demand {
	out := make([]Demand, len(o.Lines))
	for i, l := range o.Lines {
		out[i] = Demand{SKU: l.SKU, Quantity: l.Quantity}
	}
	return out
}
