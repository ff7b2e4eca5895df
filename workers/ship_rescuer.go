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
	// Interval is the time between two polls that shipped nothing.
	Interval time.Duration
	// Orders is how many orders one iteration takes at most.
	Orders int
	// Old is the age from which on an order is stale.
	Old store.Staleness
	// Shipping bounds the calls of the carrier.
	Shipping ShippingConfig
}

// DefaultRescueConfig takes orders that are PAID for a minute, which is longer than the drain takes in normal operation, and SHIP_FAILED
// ones after a backoff that grows with their age. It offers each once an iteration.
func DefaultRescueConfig() RescueConfig {
	ship := DefaultShippingConfig()
	ship.MaxAttempts = 1
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

// RescueStore is a ShipStore that lists the orders to be rescued.
type RescueStore interface {
	ShipStore
	StaleForShipping(ctx context.Context, old store.Staleness, limit int) ([]order.Order, error)
}

// ShipRescuer offers orders to the carrier that the Shipper missed or the carrier declined. It retries without end, so that each order is
// SHIPPED once the carrier works, or cancelled. It takes RescueConfig.Orders orders an iteration and shares the Shipper's CarrierLimiter.
type ShipRescuer struct {
	cfg      RescueConfig
	store    RescueStore
	shipping *shipping
	log      *slog.Logger
	unqueued func() bool
}

// NewShipRescuer makes a rescuer. Several may run: each leases the orders that it offers.
func NewShipRescuer(cfg RescueConfig, st RescueStore, carrier ShippingClient, log *slog.Logger) *ShipRescuer {
	log = log.With("worker", "ship_rescuer")
	return &ShipRescuer{
		cfg: cfg, store: st, log: log, unqueued: func() bool { return false },
		shipping: &shipping{cfg: cfg.Shipping, store: st, carrier: limiterOf(cfg.Shipping.Concurrency, carrier), log: log, now: time.Now},
	}
}

// unqueuedAge is the age from which on a PAID order is offered while no message announces it. The order is not claimed by its checkout any more.
const unqueuedAge = time.Second

// WithUnqueued sets what reports whether orders are PAID in SQL, without an event in the queue: then they are offered soon. It is called before Run.
func (r *ShipRescuer) WithUnqueued(unqueued func() bool) *ShipRescuer {
	r.unqueued = unqueued
	return r
}

// Run rescues until ctx ends.
func (r *ShipRescuer) Run(ctx context.Context) { poll(ctx, r.log, r.cfg.Interval, r.RunOnce) }

// RunOnce offers the stale orders that have waited longest, and returns how many were shipped.
func (r *ShipRescuer) RunOnce(ctx context.Context) (int, error) {
	old := r.cfg.Old
	if r.unqueued() {
		old.Paid = min(old.Paid, unqueuedAge)
	}
	return r.offer(ctx, old)
}

// Rest is RunOnce for a process that ends together with its queue: no message announces an order that is still PAID, because the iteration that had leased
// it was stopped. It waits until such orders are old enough.
func (r *ShipRescuer) Rest(ctx context.Context) (int, error) {
	old := r.cfg.Old
	old.Paid = 0
	rest, err := r.store.StaleForShipping(ctx, old, 1)
	if err != nil || len(rest) == 0 {
		return 0, err
	}
	sleep(ctx, unqueuedAge)
	old.Paid = unqueuedAge
	return r.offer(ctx, old)
}

func (r *ShipRescuer) offer(ctx context.Context, old store.Staleness) (int, error) {
	orders, err := r.store.StaleForShipping(ctx, old, r.cfg.Orders)
	if err != nil || len(orders) == 0 {
		return 0, err
	}
	shipped, _, err := r.shipping.ship(ctx, orders)
	if shipped > 0 {
		r.log.InfoContext(ctx, "stale orders shipped", "orders", shipped, "offered", len(orders))
	}
	return shipped, err
}
