package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/spillway/spillway/order"
)

// Config bounds the calls to one dependency.
type Config struct {
	// Timeout bounds one call.
	Timeout time.Duration
	// Failures of the last Window calls open the breaker: calls then fail at once for Delay, after which one call at a time
	// is a trial. Its success closes the breaker, its failure opens it again.
	Failures, Window uint
	Delay            time.Duration
}

// The names of the policies.
const (
	Redis = "redis"
	// Journal is for the workers' reads of Redis, which wait for entries: as the one trial of an open breaker they would hold up the hot path.
	Journal = "journal"
	SQL     = "sql"
	// Queue is for sending to the broker, QueueReceive for receiving, which waits for messages.
	Queue        = "queue"
	QueueReceive = "queue-receive"
	// Charges is the charging of cards, Payment the other calls of the payment service: cards that get no answer must not keep charges from
	// being found, voided or refunded. Refund is for the refund worker: a provider that confirms no refunds must not keep cards from being
	// charged.
	Charges = "charge"
	Payment = "payment"
	Refund  = "refund"
	// Shipping is for pricing parcels, Handover for handing them over: a carrier that is down must not keep orders from being priced.
	Shipping = "shipping"
	Handover = "handover"
	Mail     = "mail"
)

// DefaultPolicies are the bounds that fit a shop: a payment may take 3 s, what is on the hot path far less. Ten of the last
// twenty calls must fail, so that a few slow answers open nothing.
func DefaultPolicies() map[string]Config {
	usual := func(t time.Duration) Config {
		return Config{Timeout: t, Failures: 10, Window: 20, Delay: time.Second}
	}
	return map[string]Config{
		Redis: usual(time.Second), Journal: usual(2 * time.Second), SQL: usual(10 * time.Second),
		Queue: usual(10 * time.Second), QueueReceive: usual(10 * time.Second),
		Charges: usual(3 * time.Second), Payment: usual(3 * time.Second), Refund: usual(3 * time.Second), Shipping: usual(5 * time.Second), Handover: usual(5 * time.Second), Mail: usual(10 * time.Second),
	}
}

// trialSuccesses close a breaker that was open. With one there is one trial at a time, so that one caller waits for a dependency that is still
// frozen, not many.
const trialSuccesses = 1

// openRetryMin is the shortest retry hint of an open breaker: while its trial is under way there is no delay left.
const openRetryMin = 100 * time.Millisecond

// ErrNotSent means that the breaker was open: the dependency was not called.
var ErrNotSent = errors.New("not sent")

// Policy is timeout and circuit breaker of one dependency. It is a Breaker.
type Policy struct {
	name    string
	breaker circuitbreaker.CircuitBreaker[any]
	timeout time.Duration
}

// NewPolicy makes the policy of a dependency.
func NewPolicy(name string, cfg Config) *Policy {
	return &Policy{
		name: name, timeout: cfg.Timeout,
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(cfg.Failures, cfg.Window).
			WithSuccessThreshold(trialSuccesses).WithDelay(cfg.Delay).Build(),
	}
}

// IsFailure reports whether an error means that the dependency did not work. Sold out, declined, duplicate and the like are answers. A
// caller that left is no failure either.
func IsFailure(err error) bool {
	// The usual case first: what errors.As needs is allocated, which the hot path would pay for.
	return err != nil && !isAnswer(err)
}

func isAnswer(err error) bool {
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrCallerLeft), errors.As(err, &sold), errors.As(err, &declined):
		return true
	}
	for _, answer := range []error{order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded, order.ErrRatesTooOld} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// open is the error of a call while the breaker is open: nothing was sent.
func (p *Policy) open() error {
	return &order.RetryError{
		After: max(p.breaker.RemainingDelay(), openRetryMin),
		Err:   fmt.Errorf("%s is not answering; the call was %w: %w", p.name, ErrNotSent, order.ErrUnavailable),
	}
}

// silent is the error of a call that took longer than the timeout: its outcome is unknown.
func (p *Policy) silent() error {
	return &order.RetryError{After: p.timeout, Err: fmt.Errorf("%s did not answer within %s: %w: %w",
		p.name, p.timeout, order.ErrUnavailable, order.ErrUnknownOutcome)}
}

// Permit takes a permit of the breaker, without an allocation. The caller bounds the call by Timeout and reports it exactly once: a trial's
// permit that is never reported keeps the breaker half open for ever. Do does both.
func (p *Policy) Permit() error {
	if p.breaker.TryAcquirePermit() {
		return nil
	}
	return p.open()
}

// Report ends a permitted call. It cannot see which deadline ended the call: Do can, and reports ErrCallerLeft for the caller's own.
func (p *Policy) Report(err error) {
	switch {
	case errors.Is(err, ErrCallerLeft), errors.Is(err, context.Canceled):
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

// Timeout bounds one call.
func (p *Policy) Timeout() time.Duration { return p.timeout }

// State is "closed", "open" or "half-open".
func (p *Policy) State() string { return p.breaker.State().String() }

// Name is the dependency's.
func (p *Policy) Name() string { return p.name }

// Call makes a call under the policy and returns its result. A call that takes longer than the timeout has an unknown outcome. Errors
// that are no failure, by IsFailure, are reported as successes.
func Call[T any](ctx context.Context, p *Policy, f func(ctx context.Context) (T, error)) (T, error) {
	return CallUnder(ctx, p, p, f)
}

// CallUnder is Call that takes its permit from b, and reports to it.
func CallUnder[T any](ctx context.Context, b Breaker, p *Policy, f func(ctx context.Context) (T, error)) (T, error) {
	var result, none T
	var outcome error
	err := Do(ctx, b, p.timeout, func(bounded context.Context) error {
		result, outcome = f(bounded)
		if !IsFailure(outcome) && !errors.Is(outcome, context.Canceled) {
			return nil
		}
		if bounded.Err() != nil && ctx.Err() == nil {
			outcome = p.silent()
		}
		return outcome
	})
	if outcome != nil {
		err = outcome
	}
	if err != nil {
		return none, err
	}
	return result, nil
}

// WithOutcome returns the error of a call that changes something, with order.ErrUnknownOutcome in it unless the outcome is known: nothing
// was done if the call was not sent, or was answered.
func WithOutcome(err error) error {
	left := errors.Is(err, context.Canceled) || errors.Is(err, ErrCallerLeft)
	known := errors.Is(err, ErrNotSent) || errors.Is(err, order.ErrRejected) || !IsFailure(err) && !left
	if known || errors.Is(err, order.ErrUnknownOutcome) {
		return err
	}
	return fmt.Errorf("%w: %w", order.ErrUnknownOutcome, err)
}

// Policies are those of all dependencies, by name.
type Policies map[string]*Policy

// NewPolicies makes the policies.
func NewPolicies(cfg map[string]Config) Policies {
	out := make(Policies, len(cfg))
	for name, c := range cfg {
		out[name] = NewPolicy(name, c)
	}
	return out
}

// States are the breakers' states, by name.
func (p Policies) States() map[string]string {
	out := make(map[string]string, len(p))
	for name, policy := range p {
		out[name] = policy.State()
	}
	return out
}
