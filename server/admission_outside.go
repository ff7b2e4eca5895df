package server

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// admittedCall is a call that counts in its limiter. It is safe for concurrent use.
type admittedCall struct {
	limit procedureLimit

	mu    sync.Mutex
	ended bool
	away  int           // nested calls of outside
	since time.Time     // it counts
	took  time.Duration // before that
}

type admittedKey struct{}

// outside calls f, which waits for an external service. Meanwhile the call of ctx takes no place of its limit, and the time is not
// measured: a slow service is no load, and leaves the places to calls that do not need it. Afterwards the call goes on even if the
// limit is reached, because its order holds stock.
func outside(ctx context.Context, f func()) {
	call, ok := ctx.Value(admittedKey{}).(*admittedCall)
	if !ok {
		f()
		return
	}
	call.leave()
	defer call.enter()
	f()
}

func (c *admittedCall) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away++; c.away == 1 && !c.ended {
		c.took += c.limit.now().Sub(c.since)
		c.limit.leave()
	}
}

func (c *admittedCall) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away--; c.away == 0 && !c.ended {
		c.since = c.limit.now()
		c.limit.enter()
	}
}

// end ends the call, once, which was served or not. An external service may still be waited for by others.
func (c *admittedCall) end(served bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.away == 0 {
		c.took += c.limit.now().Sub(c.since)
		c.limit.leave()
	}
	if !c.limit.unmeasured {
		c.limit.record(c.took, served)
	}
}

// OutsideLimits returns the provider. While a call waits for it, the call takes no place of its limit, and does not count as load.
func OutsideLimits(p payment.Provider) payment.Provider { return outsideProvider{p} }

// OutsideLimitsOf is OutsideLimits for the calls of a client to a service in another process.
func OutsideLimitsOf() connect.Interceptor {
	return connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (resp connect.AnyResponse, err error) {
			outside(ctx, func() { resp, err = next(ctx, req) })
			return resp, err
		}
	})
}

type outsideProvider struct{ payment.Provider }

// Charge charges the card.
func (p outsideProvider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (out payment.Outcome, err error) {
	outside(ctx, func() { out, err = p.Provider.Charge(ctx, id, amount, card) })
	return out, err
}

// ChargeAgain makes another attempt.
func (p outsideProvider) ChargeAgain(
	ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card,
) (out payment.Outcome, err error) {
	outside(ctx, func() { out, err = p.Provider.ChargeAgain(ctx, id, attempt, amount, card) })
	return out, err
}

// Find finds a charge.
func (p outsideProvider) Find(ctx context.Context, id order.ID) (out payment.Outcome, found bool, err error) {
	outside(ctx, func() { out, found, err = p.Provider.Find(ctx, id) })
	return out, found, err
}

// Refund returns money.
func (p outsideProvider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) (err error) {
	outside(ctx, func() { err = p.Provider.Refund(ctx, id, refundID, amount) })
	return err
}
