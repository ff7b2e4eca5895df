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
	// probeTimeout bounds one status request. PaymentService waits 2.5 s for its provider, and needs time for its ledger.
	probeTimeout = 3 * time.Second
	// probeValid is how long the outcome of a status request decides about charges that fail after it.
	probeValid = time.Second
)

// Charging is the policy of charges. A charge without an outcome may be the fault of its card, so it counts as a failure only if a status
// request, which has nothing to do with a card, fails too. One status request at a time runs in the background; no caller waits for it. Each
// permit is reported exactly once: a charge that failed is reported when the status request ends, at most probeTimeout later.
type Charging struct {
	policy *breaker.Policy
	client spillwayv1connect.PaymentServiceClient

	ctx     context.Context //nolint:containedctx // It ends with Close, not with a call.
	stop    context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// waiting is how many failed charges the status request that is under way decides about; 0 when none is under way.
	waiting int
	// verdict is the outcome of the last status request, which ended at.
	verdict error
	at      time.Time
	closed  bool
}

// NewCharging makes the policy of charges by the client. It must be closed.
func NewCharging(policy *breaker.Policy, client spillwayv1connect.PaymentServiceClient) *Charging {
	c := &Charging{policy: policy, client: client}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Close ends the status request that is under way, and waits for it. Charges that fail later are reported without one, as neither success
// nor failure.
func (c *Charging) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	return nil
}

// chargeBreaker is the breaker of one order's charge.
type chargeBreaker struct {
	*Charging
	id order.ID
}

// Permit is the policy's.
func (b chargeBreaker) Permit() error { return b.policy.Permit() }

// Report reports all but failures at once. A failure waits for a status request about the order.
func (b chargeBreaker) Report(err error) {
	if errors.Is(err, breaker.ErrCallerLeft) || !breaker.IsFailure(err) {
		b.policy.Report(err)
		return
	}
	b.decide(b.id)
}

// decide reports a failed charge by the outcome of a status request: a recent one, the one under way, or one about this order.
func (c *Charging) decide(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		c.policy.Report(breaker.ErrCallerLeft)
	case c.waiting == 0 && time.Since(c.at) < probeValid:
		c.policy.Report(c.verdict)
	case c.waiting > 0:
		c.waiting++
	default:
		c.waiting = 1
		c.running.Go(func() { c.probe(id) })
	}
}

// probe makes a status request, and reports all charges that failed until its end.
func (c *Charging) probe(id order.ID) {
	verdict := c.ask(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdict, c.at = verdict, time.Now()
	for ; c.waiting > 0; c.waiting-- {
		c.policy.Report(verdict)
	}
}

// ask makes a status request about the order. It returns its error, or breaker.ErrCallerLeft when the payment service works or this process
// ends. It passes no breaker, as everything that finds out whether a dependency works.
func (c *Charging) ask(id order.ID) error {
	ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
	defer cancel()
	_, err := c.client.GetCharge(ctx, &spillwayv1.GetChargeRequest{OrderId: string(id)})
	if err = wire.FromConnect(err); breaker.IsFailure(err) && c.ctx.Err() == nil {
		return err
	}
	return breaker.ErrCallerLeft
}

// guard makes the charge of an order.
func (c *Charging) guard(ctx context.Context, id order.ID, charge func(context.Context) (*spillwayv1.ChargeResponse, error)) (*spillwayv1.ChargeResponse, error) {
	return breaker.CallUnder(ctx, chargeBreaker{c, id}, c.policy, charge)
}
