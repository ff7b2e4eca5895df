package server

import (
	"context"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// CheckoutLoad counts the requests in progress that place or pay an order. Those that wait for a response of the payment provider do not count,
// because they need no CPU; those that wait for Redis or SQL do. It is safe for concurrent use.
type CheckoutLoad struct{ inFlight atomic.Int64 }

// InFlight returns the number of requests in progress.
func (l *CheckoutLoad) InFlight() int { return int(l.inFlight.Load()) }

// Interceptor returns the interceptor that counts.
func (l *CheckoutLoad) Interceptor() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				switch req.Spec().Procedure {
				case spillwayv1connect.CheckoutServicePlaceOrderProcedure, spillwayv1connect.CheckoutServicePayOrderProcedure:
					r := &countedRequest{load: l}
					l.inFlight.Add(1)
					defer r.end()
					ctx = context.WithValue(ctx, countedKey{}, r)
				}
				return next(ctx, req)
			}
		},
	}
}

// Provider returns the provider, with calls for the time of which their requests do not count.
func (l *CheckoutLoad) Provider(p payment.Provider) payment.Provider { return uncountedProvider{p} }

// countedRequest counts in load unless it has ended or waits for the provider.
type countedRequest struct {
	load *CheckoutLoad

	mu    sync.Mutex
	ended bool
	waits int // calls of the provider in progress, which may outlive the request
}

// countedKey is the key of a countedRequest in a context.
type countedKey struct{}

// end ends the request.
func (r *countedRequest) end() {
	r.change(func() { r.ended = true })
}

// change changes the request, and the load if it counted before and no longer does, or the reverse.
func (r *countedRequest) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.counts()
	f()
	r.load.inFlight.Add(r.counts() - before)
}

// counts is 1 or 0.
func (r *countedRequest) counts() int64 {
	if r.ended || r.waits > 0 {
		return 0
	}
	return 1
}

// waitForProvider notes that the request of the context, if it is counted, waits for the provider until done is called.
func waitForProvider(ctx context.Context) (done func()) {
	r, ok := ctx.Value(countedKey{}).(*countedRequest)
	if !ok {
		return func() {}
	}
	r.change(func() { r.waits++ })
	return func() { r.change(func() { r.waits-- }) }
}

// uncountedProvider is a provider for which requests wait without being counted.
type uncountedProvider struct{ payment.Provider }

// Charge is Provider.Charge.
func (p uncountedProvider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (payment.Outcome, error) {
	defer waitForProvider(ctx)()
	return p.Provider.Charge(ctx, id, amount, card)
}

// ChargeAgain is Provider.ChargeAgain.
func (p uncountedProvider) ChargeAgain(
	ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card,
) (payment.Outcome, error) {
	defer waitForProvider(ctx)()
	return p.Provider.ChargeAgain(ctx, id, attempt, amount, card)
}

// Find is Provider.Find.
func (p uncountedProvider) Find(ctx context.Context, id order.ID) (payment.Outcome, bool, error) {
	defer waitForProvider(ctx)()
	return p.Provider.Find(ctx, id)
}

// Refund is Provider.Refund.
func (p uncountedProvider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error {
	defer waitForProvider(ctx)()
	return p.Provider.Refund(ctx, id, refundID, amount)
}
