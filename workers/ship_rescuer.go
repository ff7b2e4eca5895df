package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// RescueConfig sets up a ShipRescuer.
type RescueConfig struct {
	// Every is the pause between two looks that found nothing to be shipped.
	Interval time.Duration
	// Orders is how many orders one turn takes at most.
	Orders int
	// Old says which orders have waited for too long.
	Old store.Staleness
	// Shipping is how orders are handed over.
	Shipping ShippingConfig
}

// DefaultRescueConfig takes orders that are PAID for a minute, which is longer than the drain takes unless something is broken, and
// failed ones after a pause that grows with their age. It offers each once a turn: that pause is the backoff.
func DefaultRescueConfig() RescueConfig {
	ship := DefaultShippingConfig()
	ship.Tries = 1
	return RescueConfig{Interval: 3 * time.Second, Orders: 100, Shipping: ship, Old: store.Staleness{
		Paid: time.Minute,
		Failed: []store.RetryPause{
			{Age: 2 * time.Minute, Pause: 10 * time.Second},
			{Age: 10 * time.Minute, Pause: 30 * time.Second},
			{Age: time.Hour, Pause: 2 * time.Minute},
			{Pause: 10 * time.Minute},
		},
	}}
}

// StaleStore is what a ShipRescuer needs of SQL.
type StaleStore interface {
	ShipStore
	StaleForShipping(ctx context.Context, old store.Staleness, limit int) ([]order.Order, error)
}

// ShipRescuer offers orders to the carrier that the Shipper missed or that the carrier did not take: with an eternity of tries each order ends
// SHIPPED once the carrier works, or is cancelled.
type ShipRescuer struct {
	cfg      RescueConfig
	store    StaleStore
	shipping *shipping
	log      *slog.Logger
}

// NewShipRescuer makes a rescuer.
func NewShipRescuer(cfg RescueConfig, st StaleStore, carrier ShippingClient, log *slog.Logger) *ShipRescuer {
	log = log.With("worker", "ship_rescuer")
	return &ShipRescuer{
		cfg: cfg, store: st, log: log,
		shipping: &shipping{cfg: cfg.Shipping, store: st, carrier: carrier, log: log, now: time.Now},
	}
}

// Run rescues until ctx ends.
func (r *ShipRescuer) Run(ctx context.Context) { poll(ctx, r.log, r.cfg.Interval, r.RunOnce) }

// RunOnce offers the orders that waited for longest and returns how many were shipped.
func (r *ShipRescuer) RunOnce(ctx context.Context) (int, error) {
	orders, err := r.store.StaleForShipping(ctx, r.cfg.Old, r.cfg.Orders)
	if err != nil || len(orders) == 0 {
		return 0, err
	}
	shipped, _, err := r.shipping.ship(ctx, orders)
	if shipped > 0 {
		r.log.InfoContext(ctx, "late orders were shipped after all", "orders", shipped, "offered", len(orders))
	}
	return shipped, err
}
