package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/spillway/spillway/order"
)

// PolicyConfig bounds the calls to one part.
type PolicyConfig struct {
	// Timeout bounds one call.
	Timeout time.Duration
	// Failures of the last Window calls open the breaker: calls then fail at once for Delay, after which single calls try.
	Failures, Window uint
	Delay            time.Duration
}

// The parts that have a policy.
const (
	Redis    = "redis"
	SQL      = "sql"
	Queue    = "queue"
	Payment  = "payment"
	Shipping = "shipping"
	Mail     = "mail"
)

// DefaultPolicies are the bounds that fit a shop: a payment may take 3 s, what is on the hot path far less. Half of the last
// twenty calls must fail, so that a single slow answer opens nothing.
func DefaultPolicies() map[string]PolicyConfig {
	usual := func(t time.Duration) PolicyConfig {
		return PolicyConfig{Timeout: t, Failures: 10, Window: 20, Delay: time.Second}
	}
	return map[string]PolicyConfig{
		Redis: usual(time.Second), SQL: usual(10 * time.Second), Queue: usual(10 * time.Second),
		Payment: usual(3 * time.Second), Shipping: usual(5 * time.Second), Mail: usual(10 * time.Second),
	}
}

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
		WithFailureThresholdRatio(cfg.Failures, cfg.Window).WithDelay(cfg.Delay).Build()
	return &Policy{
		name: name, breaker: breaker, timeout: cfg.Timeout,
		run: failsafe.With[any](breaker, timeout.New[any](cfg.Timeout)),
	}
}

// IsFailure says whether an error means that the part did not work. Sold out, declined, duplicate and the like are answers, and
// a caller who went away says nothing about the part.
func IsFailure(err error) bool {
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.As(err, &sold), errors.As(err, &declined):
		return false
	}
	for _, answer := range []error{order.ErrInvalid, order.ErrNotFound, order.ErrExists, order.ErrKeyReused, order.ErrState, order.ErrBusy} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// open is what callers get while the breaker is open: nothing was sent.
func (p *Policy) open() error {
	return &order.RetryError{
		After: max(p.breaker.RemainingDelay(), 100*time.Millisecond),
		Err:   fmt.Errorf("%s is not answering: %w", p.name, order.ErrUnavailable),
	}
}

// Permit and Report are the policy of the hot path: they cost no closure. The caller bounds the call by itself.
func (p *Policy) Permit() error {
	if p.breaker.TryAcquirePermit() {
		return nil
	}
	return p.open()
}

// Report tells how a permitted call went.
func (p *Policy) Report(err error) {
	if IsFailure(err) {
		p.breaker.RecordFailure()
		return
	}
	p.breaker.RecordSuccess()
}

// State is "closed", "open" or "half-open".
func (p *Policy) State() string { return p.breaker.State().String() }

// Name is the part's.
func (p *Policy) Name() string { return p.name }

// Do runs a call under the policy. A call that takes longer than the timeout has an unknown outcome.
func Do[T any](ctx context.Context, p *Policy, call func(ctx context.Context) (T, error)) (T, error) {
	var none T
	result, err := p.run.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[any]) (any, error) {
		return call(e.Context())
	})
	switch {
	case err == nil:
		return result.(T), nil //nolint:forcetypeassert,errcheck // call returned it.
	case errors.Is(err, circuitbreaker.ErrOpen):
		return none, p.open()
	case errors.Is(err, timeout.ErrExceeded):
		return none, &order.RetryError{After: p.timeout, Err: fmt.Errorf("%s did not answer within %s: %w: %w",
			p.name, p.timeout, order.ErrUnavailable, order.ErrUnknownOutcome)}
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
