package payment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

const (
	// probeTimeout bounds one status request. PaymentService waits 2.5 s for its provider and then writes its ledger.
	probeTimeout = 3 * time.Second
	// probeValid is how long the outcome of a status request applies to charges that fail after it.
	probeValid = time.Second
)

// Charging guards charges by a breaker policy. A charge without an outcome may be caused by its card, so it counts as a failure only if a
// status request, which depends on no card, fails too. One status request at a time runs in the background; no caller waits for it. Each
// permit is reported exactly once: a charge that failed is reported when the status request ends, at most probeTimeout later. Charging
// is safe for concurrent use.
type Charging struct {
	policy *breaker.Policy
	client spillwayv1connect.PaymentServiceClient

	ctx     context.Context //nolint:containedctx // Close cancels it; it is not the context of one call.
	stop    context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// waiting is the number of failed charges that the status request in flight decides; 0 when none is in flight.
	waiting int
	// verdict is the outcome of the last status request, at the time of its end.
	verdict error
	at      time.Time
	closed  bool
}

// NewCharging returns a guard for charges that sends its status requests by client. The caller must close it.
func NewCharging(policy *breaker.Policy, client spillwayv1connect.PaymentServiceClient) *Charging {
	c := &Charging{policy: policy, client: client}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Close cancels the status request in flight and waits for its end. Charges that fail later are reported as neither success nor failure. Close
// never returns an error.
func (c *Charging) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	return nil
}

// chargeBreaker is the breaker.Breaker of one order's charge.
type chargeBreaker struct {
	*Charging
	id order.ID
}

// Permit takes a permit of the policy.
func (b chargeBreaker) Permit() error { return b.policy.Permit() }

// Report reports successes and calls of callers that left at once. A failure is reported after a status request.
func (b chargeBreaker) Report(err error) {
	if errors.Is(err, breaker.ErrCallerLeft) || !breaker.IsFailure(err) {
		b.policy.Report(err)
		return
	}
	b.decide(b.id)
}

// decide reports a failed charge by the outcome of a status request: a recent one, the one in flight, or a new one about this order.
func (c *Charging) decide(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		c.policy.Report(breaker.ErrCallerLeft)
	case c.waiting == 0 && time.Since(c.at) < probeValid:
		c.report(c.verdict)
	case c.waiting > 0:
		c.waiting++
	default:
		c.waiting = 1
		c.running.Go(func() { c.probe(id) })
	}
}

// probe sends a status request and reports all charges that failed until its end.
func (c *Charging) probe(id order.ID) {
	verdict := c.requestStatus(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdict, c.at = verdict, time.Now()
	for ; c.waiting > 0; c.waiting-- {
		c.report(verdict)
	}
}

// report reports a failed charge by the outcome of a status request. A status request that succeeds closes a half-open breaker: the provider works,
// and a card without an outcome must not keep other cards from being charged.
func (c *Charging) report(verdict error) {
	switch {
	case !errors.Is(verdict, errProviderWorks):
		c.policy.Report(verdict)
	case c.policy.IsHalfOpen():
		c.policy.Report(nil)
	default:
		c.policy.Report(breaker.ErrCallerLeft)
	}
}

// errProviderWorks is the verdict of a status request that succeeded.
var errProviderWorks = errors.New("the payment provider works")

// requestStatus sends a status request about the order. It returns the error of a failure, errProviderWorks, or breaker.ErrCallerLeft if c is
// closed. Like all health checks it passes no breaker.
func (c *Charging) requestStatus(id order.ID) error {
	ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
	defer cancel()
	_, err := c.client.GetCharge(ctx, &spillwayv1.GetChargeRequest{OrderId: string(id)})
	switch err = wire.FromConnect(err); {
	case c.ctx.Err() != nil:
		return breaker.ErrCallerLeft
	case breaker.IsFailure(err):
		return err
	}
	return errProviderWorks
}
