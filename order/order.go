package order

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SKU is a stock keeping unit: the id of a product in the stock.
type SKU string

// CustomerID identifies a customer. It always comes from the bearer token, never from a request field.
type CustomerID string

const (
	// MaxQuantity is the maximum of one SKU in one order, in units; larger orders are wholesale or a mistake.
	MaxQuantity = 1000
	// DefaultMaxPerCustomer is the maximum of one product per customer and day, in units, for products without a
	// maximum of their own.
	DefaultMaxPerCustomer = 10
	// MaxLines is the maximum number of SKUs in one order. It bounds the work of one reservation script.
	MaxLines = 100
)

// Line is one SKU of an order, with the name and the price at which it was sold.
type Line struct {
	SKU  SKU
	Name string
	// Quantity is in units, 1 to MaxQuantity.
	Quantity int
	// UnitPrice is in minor units of the order's currency.
	UnitPrice Cents
}

// Total returns Quantity × UnitPrice. Order.Price has checked that it does not overflow.
func (l Line) Total() Cents { return l.UnitPrice * Cents(l.Quantity) }

// Address is the destination of a parcel.
type Address struct {
	Name, Street, City, Region, PostalCode string
	// CountryCode is ISO 3166-1 alpha-2.
	CountryCode string
}

// Order is a customer's order: its lines, prices, addresses and state.
type Order struct {
	ID         ID
	CustomerID CustomerID
	// ClaimedBy is the customer who has claimed the orders of the guest CustomerID; empty if there is none. A snapshot does not have it.
	ClaimedBy CustomerID
	State     State
	// Lines hold each SKU once, sorted by SKU.
	Lines []Line
	// Currency applies to all amounts below and to the lines.
	Currency      Currency
	ItemsTotal    Cents
	ShippingTotal Cents
	Total         Cents
	Email         string
	Address       Address
	TrackingID    string
	// IdempotencyKey and Fingerprint distinguish a retry from a different request (I4).
	IdempotencyKey string
	Fingerprint    []byte
	// CancelReason is why a CANCELLED order was cancelled; zero otherwise.
	CancelReason CancelReason
	// Refunded is the confirmed refund; RefundPending is the part that is booked and not yet confirmed by the provider.
	Refunded, RefundPending Cents
	// ExpiresAt is the time until which a PENDING order without a card can be paid; zero for an order with a card.
	ExpiresAt time.Time
	// Trace is the W3C trace context of the request that placed it, or empty; see package tracing. A snapshot does not have it.
	Trace string
	// CreatedAt and UpdatedAt are in UTC, to the microsecond, the precision of SQL.
	CreatedAt, UpdatedAt time.Time
}

// Owner is the customer who may read and change the order: the one who placed it, or who has claimed it from a guest.
func (o Order) Owner() CustomerID {
	if o.ClaimedBy != "" {
		return o.ClaimedBy
	}
	return o.CustomerID
}

// Demand is the number of units of a SKU that an order requests.
type Demand struct {
	SKU      SKU
	Quantity int
}

// SumDemand returns the total demand per SKU, sorted by SKU, so that two lines of one SKU are checked together. It
// fails with ErrInvalid without lines, with more than MaxLines, or with a quantity outside 1 to MaxQuantity, per line
// or in total. It returns the lines themselves if they are sorted and no SKU is there twice.
func SumDemand(lines []Demand) ([]Demand, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("an order needs at least one line: %w", ErrInvalid)
	}
	if len(lines) > MaxLines {
		return nil, fmt.Errorf("an order has at most %d lines, not %d: %w", MaxLines, len(lines), ErrInvalid)
	}
	if summed(lines) {
		return lines, nil
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

// summed reports whether the lines are valid, sorted, and of one SKU each.
func summed(lines []Demand) bool {
	for i, l := range lines {
		if l.Quantity < 1 || l.Quantity > MaxQuantity || i > 0 && lines[i-1].SKU >= l.SKU {
			return false
		}
	}
	return true
}

// Price sets the totals from the lines and the shipping cost. It fails with ErrInvalid on overflow.
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

// Demand returns the units that the order takes from the stock, one entry per line.
func (o *Order) Demand() []Demand {
	out := make([]Demand, len(o.Lines))
	for i, l := range o.Lines {
		out[i] = Demand{SKU: l.SKU, Quantity: l.Quantity}
	}
	return out
}
