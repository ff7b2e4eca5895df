package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// PolicyConfig bounds the calls to one part.
type PolicyConfig struct {
	// Timeout bounds one call.
	Timeout time.Duration
	// Failures of the last Window calls open the breaker: calls then fail at once for Delay, after which one call at a time
	// tries. Its success closes the breaker, its failure opens it again.
	Failures, Window uint
	Delay            time.Duration
}

// The parts that have a policy.
const (
	Redis = "redis"
	// Journal is Redis as the workers read it: their reads wait for entries, and as the one trial of an open breaker would hold
	// up the hot path.
	Journal = "journal"
	SQL     = "sql"
	// Queue is the broker as it is told something, QueueReceive as it is waited for.
	Queue        = "queue"
	QueueReceive = "queue-receive"
	// Charges is the charging of cards, Payment the other calls of the payment service: cards that get no answer must not keep charges from
	// being found, voided or refunded. Refund is the payment service as the refund worker calls it: a provider that confirms no refunds must
	// not keep cards from being charged.
	Charges = "charge"
	Payment = "payment"
	Refund  = "refund"
	// Shipping is the pricing of parcels, Handover their handing over: a carrier that is down must not keep orders from being priced.
	Shipping = "shipping"
	Handover = "handover"
	Mail     = "mail"
)

// DefaultPolicies are the bounds that fit a shop: a payment may take 3 s, what is on the hot path far less. Ten of the last
// twenty calls must fail, so that a few slow answers open nothing.
func DefaultPolicies() map[string]PolicyConfig {
	usual := func(t time.Duration) PolicyConfig {
		return PolicyConfig{Timeout: t, Failures: 10, Window: 20, Delay: time.Second}
	}
	return map[string]PolicyConfig{
		Redis: usual(time.Second), Journal: usual(2 * time.Second), SQL: usual(10 * time.Second),
		Queue: usual(10 * time.Second), QueueReceive: usual(10 * time.Second),
		Charges: usual(3 * time.Second), Payment: usual(3 * time.Second), Refund: usual(3 * time.Second), Shipping: usual(5 * time.Second), Handover: usual(5 * time.Second), Mail: usual(10 * time.Second),
	}
}

// trialSuccesses close a breaker that was open. With one there is one trial at a time, so that of a part that is still frozen
// one caller waits, not many.
const trialSuccesses = 1

// openRetryMin is the shortest wait that callers of an open breaker are told: while its trial is under way there is no delay left.
const openRetryMin = 100 * time.Millisecond

var (
	// errNotSent means that the breaker was open: the part never heard of the call.
	errNotSent = errors.New("not sent")
	// errCallerLeft means that the caller's own deadline or cancellation ended a call before its part can be called slow.
	errCallerLeft = errors.New("the caller left")
)

// Policy is timeout and circuit breaker of one part. The breaker is outermost, or it would never see a timeout.
type Policy struct {
	name    string
	breaker circuitbreaker.CircuitBreaker[any]
	timeout time.Duration
	run     failsafe.Executor[any]
}

// NewPolicy makes the policy of a part.
func NewPolicy(name string, cfg PolicyConfig) *Policy {
	breaker := circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return IsFailure(err) }).
		WithFailureThresholdRatio(cfg.Failures, cfg.Window).WithSuccessThreshold(trialSuccesses).WithDelay(cfg.Delay).Build()
	return &Policy{
		name: name, breaker: breaker, timeout: cfg.Timeout,
		run: failsafe.With[any](breaker, timeout.New[any](cfg.Timeout)),
	}
}

// IsFailure says whether an error means that the part did not work. Sold out, declined, duplicate and the like are answers, and
// a caller who went away says nothing about the part.
func IsFailure(err error) bool {
	// The usual case first: what errors.As needs is allocated, which the hot path would pay for.
	return err != nil && !isAnswer(err)
}

func isAnswer(err error) bool {
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, errCallerLeft), errors.As(err, &sold), errors.As(err, &declined):
		return true
	}
	for _, answer := range []error{order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded, order.ErrRatesTooOld} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// open is what callers get while the breaker is open: nothing was sent.
func (p *Policy) open() error {
	return &order.RetryError{
		After: max(p.breaker.RemainingDelay(), openRetryMin),
		Err:   fmt.Errorf("%s is not answering; the call was %w: %w", p.name, errNotSent, order.ErrUnavailable),
	}
}

// silent is the error of a call that took longer than the timeout: its outcome is unknown.
func (p *Policy) silent() error {
	return &order.RetryError{After: p.timeout, Err: fmt.Errorf("%s did not answer within %s: %w: %w",
		p.name, p.timeout, order.ErrUnavailable, order.ErrUnknownOutcome)}
}

// Permit and Report are the policy of the hot path: they cost no closure and no allocation. The caller bounds the call by itself,
// and reports each permitted one exactly once: a trial's permit that is never reported keeps the breaker half open for ever.
func (p *Policy) Permit() error {
	if p.breaker.TryAcquirePermit() {
		return nil
	}
	return p.open()
}

// Report ends a permitted call. It cannot see whose deadline ended the call: package breaker can, and reports
// breaker.ErrCallerLeft for the caller's own.
func (p *Policy) Report(err error) {
	switch {
	case errors.Is(err, breaker.ErrCallerLeft), errors.Is(err, context.Canceled):
		p.abandon()
	case IsFailure(err):
		p.breaker.RecordFailure()
	default:
		p.breaker.RecordSuccess()
	}
}

// abandon gives a permit back without a verdict. A closed breaker counts no permits. Of a half open one the trial is
// given to the next caller: opened and half opened again, it has a new one. The caller that left can neither close the breaker of a
// dependency that is down nor open that of one that works.
func (p *Policy) abandon() {
	if p.breaker.IsHalfOpen() {
		p.breaker.Open()
		p.breaker.HalfOpen()
	}
}

// Timeout bounds one call. Who takes permits bounds the call by it.
func (p *Policy) Timeout() time.Duration { return p.timeout }

// State is "closed", "open" or "half-open".
func (p *Policy) State() string { return p.breaker.State().String() }

// Name is the part's.
func (p *Policy) Name() string { return p.name }

// Do runs a call under the policy. A call that takes longer than the timeout has an unknown outcome. One that its caller gave up
// on counts against the part only after half of the timeout, so that nobody can open the breaker by being impatient.
func Do[T any](ctx context.Context, p *Policy, call func(ctx context.Context) (T, error)) (T, error) {
	var result, none T
	began, reported := time.Now(), false
	defer func() {
		if !reported { // The call panicked; the breaker must get its permit back.
			p.breaker.RecordFailure()
		}
	}()
	err := p.run.WithContext(ctx).RunWithExecution(func(e failsafe.Execution[any]) (err error) {
		if result, err = call(e.Context()); err != nil && ctx.Err() != nil && time.Since(began) < p.timeout/2 {
			return fmt.Errorf("%w: %w", errCallerLeft, err)
		}
		return err
	})
	reported = true
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, circuitbreaker.ErrOpen):
		return none, p.open()
	case errors.Is(err, timeout.ErrExceeded):
		return none, p.silent()
	}
	return none, err
}

// Policies are those of all parts, built in one place.
type Policies map[string]*Policy

// NewPolicies makes the policies.
func NewPolicies(cfg map[string]PolicyConfig) Policies {
	out := make(Policies, len(cfg))
	for name, c := range cfg {
		out[name] = NewPolicy(name, c)
	}
	return out
}

// States are the breakers' states by part.
func (p Policies) States() map[string]string {
	out := make(map[string]string, len(p))
	for name, policy := range p {
		out[name] = policy.State()
	}
	return out
}
