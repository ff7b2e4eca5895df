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

// parcelsMax bounds what the simulated carrier remembers; then it forgets the oldest.
const parcelsMax = 200_000

// CarrierMode is how the simulated carrier fares.
type CarrierMode string

// The modes.
const (
	// CarrierOK takes each parcel after its latency.
	CarrierOK CarrierMode = "ok"
	// CarrierSlow does so after slowLatency more.
	CarrierSlow CarrierMode = "slow"
	// CarrierDown answers at once that it takes nothing.
	CarrierDown CarrierMode = "down"
	// CarrierLate takes each parcel at once and answers lateLatency later, when nobody listens any more. Asked again, it answers
	// that it has it.
	CarrierLate CarrierMode = "late"
)

const (
	// slowLatency is within the shipping policy's timeout, so that a slow carrier costs time and nothing else.
	slowLatency = 2 * time.Second
	// lateLatency is beyond that timeout, which is 5 s.
	lateLatency = 8 * time.Second
)

// SimulatedCarrier takes each order's parcel once. Its exported fields are set before the first call.
type SimulatedCarrier struct {
	// Latency is how long the carrier takes to answer.
	Latency time.Duration
	// Refuse says which parcels the carrier will never take, and why; nil takes all.
	Refuse func(p Parcel) error

	mu     sync.Mutex
	mode   CarrierMode
	taken  map[order.ID]bool
	oldest []order.ID
}

// SetMode changes how the carrier fares, from the next call on.
func (c *SimulatedCarrier) SetMode(m CarrierMode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = m
}

// Ship takes the parcel. order.ErrRejected: it was not taken this time. order.ErrInvalid: it is not taken and never will be; one that
// was taken before is never answered so.
func (c *SimulatedCarrier) Ship(ctx context.Context, p Parcel) error {
	c.mu.Lock()
	mode, has := c.mode, c.taken[p.OrderID]
	c.mu.Unlock()
	before, after := c.Latency, time.Duration(0)
	switch {
	case mode == CarrierDown:
		return fmt.Errorf("the carrier is down and did not take %s: %w", p.OrderID, order.ErrRejected)
	case mode == CarrierSlow:
		before += slowLatency
	case mode == CarrierLate && !has:
		after = lateLatency
	}
	if err := wait(ctx, before); err != nil {
		return fmt.Errorf("hand %s to the carrier: %w", p.OrderID, err)
	}
	if c.Refuse != nil && !has {
		if err := c.Refuse(p); err != nil {
			return fmt.Errorf("the carrier refuses %s: %w: %w", p.OrderID, order.ErrInvalid, err)
		}
	}
	c.take(p.OrderID)
	if err := wait(ctx, after); err != nil {
		return fmt.Errorf("wait for the carrier, which has %s: %w", p.OrderID, err)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return sleep(ctx, d)
}

func (c *SimulatedCarrier) take(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[id] {
		return
	}
	if c.taken == nil {
		c.taken = make(map[order.ID]bool)
	}
	c.taken[id] = true
	if c.oldest = append(c.oldest, id); len(c.oldest) > parcelsMax {
		delete(c.taken, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
}

// Parcels is how many parcels the carrier remembers to have taken.
func (c *SimulatedCarrier) Parcels() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.taken)
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

// ShippingCost is what shipping the items to the address costs, in US dollars.
func ShippingCost(to order.Address, items []order.Demand) order.Money {
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
