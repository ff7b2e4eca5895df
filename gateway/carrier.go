package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
)

// Carrier is an outside party that takes parcels, each order once.
type Carrier interface {
	// Ship hands the parcel over. Done before, it does nothing more.
	Ship(ctx context.Context, p Parcel) error
}

// Parcel is what the carrier gets.
type Parcel struct {
	OrderID    order.ID
	TrackingID string
	To         order.Address
	Items      []order.Demand
}

// SimulatedCarrier takes every parcel after its latency.
type SimulatedCarrier struct {
	// Latency is how long the carrier takes to answer.
	Latency time.Duration

	mu      sync.Mutex
	parcels int
}

// Ship takes the parcel.
func (c *SimulatedCarrier) Ship(ctx context.Context, p Parcel) error {
	if c.Latency > 0 {
		if err := sleep(ctx, c.Latency); err != nil {
			return fmt.Errorf("hand %s to the carrier: %w", p.OrderID, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parcels++
	return nil
}

// trackingPrefix begins the carrier's numbers for this shop.
const trackingPrefix = "SPW"

// NewTrackingID assigns the tracking id of an order up front, so that the customer has it in the answer and the carrier gets
// the same one however often it is asked.
func NewTrackingID(id order.ID) string { return trackingPrefix + string(id) }

// The tariff, in US cents: a base by where the parcel goes, and a little for each unit, up to a bound beyond which the shop
// pays.
const (
	shipDomestic  order.Cents = 499  // within the United States
	shipWorld     order.Cents = 1299 // elsewhere
	shipUnit      order.Cents = 49
	shipUnitsPaid             = 20
	shopCountry               = "US"
	shopCurrency              = order.Currency("USD")
)

// ShippingCost is what shipping the items to the address costs, in US dollars.
func ShippingCost(to order.Address, items []order.Demand) order.Money {
	cost := shipWorld
	if to.CountryCode == shopCountry {
		cost = shipDomestic
	}
	units := 0
	for _, d := range items {
		units += d.Quantity
	}
	return order.Money{Currency: shopCurrency, Amount: cost + shipUnit*order.Cents(min(units, shipUnitsPaid))}
}
