package server

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
)

// CallRateConfig bounds the calls of a minute, those that only read and those that write apart. 0 is no limit.
type CallRateConfig struct {
	CustomerReads, CustomerWrites int
	AddressReads, AddressWrites   int
	// Shared counts for all processes; nil counts in this process.
	Shared BatchCounter
	Log    *slog.Logger
}

// DefaultCallRates are far above what a person does: a page of the shop reads up to 10 times when it opens and once a second while it shows a flash
// sale, and a cart is changed with each click. Behind one address may be an office or a mobile network, of which 1,000 people look at a sale.
func DefaultCallRates() CallRateConfig {
	return CallRateConfig{CustomerReads: 1800, CustomerWrites: 600, AddressReads: 60_000, AddressWrites: 12_000}
}

// writes are the procedures of visitors and customers that change something. The others that they may call read.
var writes = map[string]bool{
	spillwayv1connect.SessionServiceStartGuestSessionProcedure: true,
	spillwayv1connect.CartServiceAddItemProcedure:              true,
	spillwayv1connect.CartServiceSetQuantityProcedure:          true,
	spillwayv1connect.CartServiceEmptyCartProcedure:            true,
	spillwayv1connect.CartServiceMergeGuestCartProcedure:       true,
	spillwayv1connect.CheckoutServicePlaceOrderProcedure:       true,
	spillwayv1connect.CheckoutServicePayOrderProcedure:         true,
	spillwayv1connect.OrderServiceCancelOrderProcedure:         true,
	spillwayv1connect.OrderServiceClaimGuestOrdersProcedure:    true,
}

// CallRates bound the calls of each customer and of each client address, so that a flood from one leaves the others alone. A call costs no round
// trip: it takes a token of this process, and Run tells other processes once a second of those who call much. Operators and services are exempt.
// So are addresses of this machine: of a proxy that is not trusted to name its clients, or of who runs the shop. They are safe for concurrent use.
type CallRates struct {
	customerReads, customerWrites *callRate[order.CustomerID]
	addressReads, addressWrites   *callRate[netip.Addr]
	now                           func() time.Time
}

// NewCallRates makes the limits. Without Run, each process has its own.
func NewCallRates(c CallRateConfig) *CallRates {
	customer := func(id order.CustomerID) string { return string(id) }
	return &CallRates{
		customerReads:  newCallRate(order.LimitCustomerReads, c.CustomerReads, customer, c),
		customerWrites: newCallRate(order.LimitCustomerWrites, c.CustomerWrites, customer, c),
		addressReads:   newCallRate(order.LimitAddressReads, c.AddressReads, netip.Addr.String, c),
		addressWrites:  newCallRate(order.LimitAddressWrites, c.AddressWrites, netip.Addr.String, c),
		now:            time.Now,
	}
}

// take counts a call, or returns an order.LimitError. The customer's budget is looked at first: a customer who floods costs their address nothing.
func (r *CallRates) take(ctx context.Context, procedure string) error {
	caller, _ := auth.From(ctx)
	if exempt(caller) {
		return nil
	}
	customers, addresses, now := r.customerReads, r.addressReads, r.now()
	if writes[procedure] {
		customers, addresses = r.customerWrites, r.addressWrites
	}
	if caller.Customer != "" {
		if err := customers.take(caller.Customer, now); err != nil {
			return err
		}
	}
	if addr := addressFrom(ctx); limited(addr) {
		return addresses.take(addr, now)
	}
	return nil
}

// Run shares the counts with the other processes until ctx ends.
func (r *CallRates) Run(ctx context.Context) { pause.Every(ctx, shareInterval, r.share) }

func (r *CallRates) share(ctx context.Context) {
	for _, w := range []*sharedWindow{r.customerReads.window, r.customerWrites.window, r.addressReads.window, r.addressWrites.window} {
		w.share(ctx)
	}
}

// intercept refuses calls, and streams that begin, beyond the limits. It runs after authenticate and addresses. A nil *CallRates has no limits.
func (r *CallRates) intercept() connect.Interceptor {
	return before(func(ctx context.Context, b begun) (context.Context, error) {
		if r == nil {
			return ctx, nil
		}
		return ctx, r.take(ctx, b.procedure)
	})
}
