package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
)

// declineWindow is the time in which declines are counted. A customer who mistypes a card a few times is served; who tests stolen numbers needs
// hundreds.
const declineWindow = time.Hour

// DeclineConfig bounds the declined cards within an hour. 0 is no limit.
type DeclineConfig struct {
	PerCustomer, PerAddress int
	// Shared counts for all processes; nil counts in this process.
	Shared EventCounter
	Log    *slog.Logger
}

// DeclineLimits bound the declined cards of each customer and of each client address: a shop that charges any card is a free test of stolen
// numbers. A nil *DeclineLimits has no bound.
type DeclineLimits struct{ customers, addresses *windowLimit }

// NewDeclineLimits makes the limits.
func NewDeclineLimits(c DeclineConfig) *DeclineLimits {
	return &DeclineLimits{
		customers: newWindowLimit(string(order.LimitCustomerDeclines), c.PerCustomer, declineWindow, c.Shared, c.Log),
		addresses: newWindowLimit(string(order.LimitAddressDeclines), c.PerAddress, declineWindow, c.Shared, c.Log),
	}
}

// check refuses another card of a customer or an address with too many declines, before anything is reserved or charged.
func (d *DeclineLimits) check(ctx context.Context, customer order.CustomerID) error {
	if d == nil {
		return nil
	}
	if after := d.customers.full(string(customer)); after > 0 {
		return &order.LimitError{Limit: order.LimitCustomerDeclines, Maximum: d.customers.most, After: after}
	}
	if addr := addressFrom(ctx); addr.IsValid() {
		if after := d.addresses.full(addr.String()); after > 0 {
			return &order.LimitError{Limit: order.LimitAddressDeclines, Maximum: d.addresses.most, After: after}
		}
	}
	return nil
}

// count counts a declined card.
func (d *DeclineLimits) count(ctx context.Context, customer order.CustomerID) {
	if d == nil {
		return
	}
	d.customers.count(ctx, string(customer))
	if addr := addressFrom(ctx); addr.IsValid() {
		d.addresses.count(ctx, addr.String())
	}
}
