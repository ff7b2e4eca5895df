package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/spillway/spillway/order"
)

// Config sets the timeout and the circuit breaker of one dependency.
type Config struct {
	// Timeout bounds one call.
	Timeout time.Duration
	// Failures of the last Window calls open the breaker. Calls then fail at once for Delay, after which the breaker is half open and
	// permits one trial call at a time. A successful trial closes the breaker, a failed one opens it again.
	Failures, Window uint
	Delay            time.Duration
}

// Names of the policies, one for each group of calls that fail together.
const (
	Redis = "redis"
	// Journal is for the workers' blocking reads of Redis. As the one trial of a half-open breaker such a read would delay the hot path.
	Journal = "journal"
	SQL     = "sql"
	// Queue is for sending to the broker, QueueReceive for receiving, which blocks until messages arrive.
	Queue        = "queue"
	QueueReceive = "queue-receive"
	// Charges is for charging cards, Payment for the other calls of the payment service: cards without a response must not prevent
	// charges from being found, voided or refunded. Refund is for the refund retrier: a provider that confirms no refunds must not
	// prevent cards from being charged.
	Charges = "charge"
	Payment = "payment"
	Refund  = "refund"
	// Ledger is for the calls of the payment service that need no provider: while it is down, orders without a charge are cancelled and expire.
	Ledger = "ledger"
	// Shipping is for pricing parcels, Handover for handing them over: a carrier that is down must not prevent orders from being priced.
	Shipping = "shipping"
	Handover = "handover"
	Mail     = "mail"
	// Catalog, Cart and Currency are for these services in other processes.
	Catalog  = "catalog"
	Cart     = "cart"
	Currency = "currency"
)

// DefaultPolicies returns the configuration of each policy by name: a payment may take 3 s, a call on the hot path 1 s. Ten of the last
// twenty calls must fail to open a breaker, so that a few slow responses do not. It returns a new map each time.
func DefaultPolicies() map[string]Config {
	usual := func(t time.Duration) Config {
		return Config{Timeout: t, Failures: 10, Window: 20, Delay: time.Second}
	}
	return map[string]Config{
		Redis: usual(time.Second), Journal: usual(2 * time.Second), SQL: usual(10 * time.Second),
		Queue: usual(10 * time.Second), QueueReceive: usual(10 * time.Second),
		Charges: usual(3 * time.Second), Payment: usual(3 * time.Second), Refund: usual(3 * time.Second),
		Ledger:   usual(3 * time.Second),
		Shipping: usual(5 * time.Second), Handover: usual(5 * time.Second),
		Catalog: usual(2 * time.Second), Cart: usual(2 * time.Second), Currency: usual(2 * time.Second),
		// A call is a batch of up to 100 mails, and failed only if none of them was sent.
		Mail: {Timeout: 20 * time.Second, Failures: 3, Window: 5, Delay: time.Second},
	}
}

// trialSuccesses is the number of successful trials that close a half-open breaker. With one there is one trial at a time, so that only
// one caller waits for a dependency that still hangs.
const trialSuccesses = 1

// minOpenRetry is the shortest retry hint of an open breaker. While a trial is in flight no delay is left.
const minOpenRetry = 100 * time.Millisecond

// ErrNotSent means that the breaker was open and the dependency was not called.
var ErrNotSent = order.ErrNotSent

// Policy is the timeout and the circuit breaker of one dependency. It implements Breaker and is safe for concurrent use.
type Policy struct {
	name    string
	breaker circuitbreaker.CircuitBreaker[any]
	timeout time.Duration
}

// NewPolicy returns the policy of a dependency, with a closed breaker.
func NewPolicy(name string, cfg Config) *Policy {
	return &Policy{
		name: name, timeout: cfg.Timeout,
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(cfg.Failures, cfg.Window).
			WithSuccessThreshold(trialSuccesses).WithDelay(cfg.Delay).Build(),
	}
}

// IsFailure reports whether an error means that the dependency failed. Business results such as sold out, declined or duplicate are no
// failures, because the dependency worked. Neither are ErrCallerLeft and context.Canceled.
func IsFailure(err error) bool {
	// The usual case comes first: the targets of errors.As are allocated, which the hot path avoids.
	return err != nil && !isResult(err)
}

// isResult reports whether err is a business result or the end of the caller's context.
func isResult(err error) bool {
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrCallerLeft), errors.As(err, &sold), errors.As(err, &declined):
		return true
	}
	for _, result := range []error{
		order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded,
		order.ErrRatesTooOld,
	} {
		if errors.Is(err, result) {
			return true
		}
	}
	return false
}

// open returns the error of a call that an open breaker refused. The call was not sent.
func (p *Policy) open() error {
	return &order.RetryError{
		After: max(p.breaker.RemainingDelay(), minOpenRetry),
		Err:   fmt.Errorf("circuit breaker of %s is open, call %w: %w", p.name, ErrNotSent, order.ErrUnavailable),
	}
}

// timedOut returns the error of a call that took longer than the timeout. Its outcome is unknown.
func (p *Policy) timedOut() error {
	return &order.RetryError{After: p.timeout, Err: fmt.Errorf("%s did not respond within %s: %w: %w",
		p.name, p.timeout, order.ErrUnavailable, order.ErrUnknownOutcome)}
}

// Permit takes a permit of the breaker, without an allocation. While the breaker is open it returns an order.RetryError with ErrNotSent and
// order.ErrUnavailable. The caller bounds the call by Timeout and reports it exactly once: a trial that is never reported keeps the
// breaker half open for ever. Do does both.
func (p *Policy) Permit() error {
	if p.breaker.TryAcquirePermit() {
		return nil
	}
	return p.open()
}

// Report records the outcome of a permitted call, classified by IsFailure. ErrCallerLeft and context.Canceled return the permit without
// an outcome. Report cannot see which deadline ended a call; Do can, and reports ErrCallerLeft for the caller's own.
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

// abandon returns a permit without an outcome. A closed breaker counts no permits. A half-open breaker is opened and half opened again, so
// that the next caller gets the trial. A caller that left can therefore neither close the breaker of a dependency that is down nor open
// that of one that works.
func (p *Policy) abandon() {
	if p.breaker.IsHalfOpen() {
		p.breaker.Open()
		p.breaker.HalfOpen()
	}
}

// Timeout returns the bound of one call.
func (p *Policy) Timeout() time.Duration { return p.timeout }

// State returns the state of the breaker: "closed", "open" or "half-open".
func (p *Policy) State() string { return p.breaker.State().String() }

// Check returns the error of Permit while the breaker is open and no trial is due. It takes no permit.
func (p *Policy) Check() error {
	if p.breaker.IsOpen() && p.breaker.RemainingDelay() > 0 {
		return p.open()
	}
	return nil
}

// IsHalfOpen reports whether the breaker waits for the outcome of a trial.
func (p *Policy) IsHalfOpen() bool { return p.breaker.IsHalfOpen() }

// Name returns the name of the policy.
func (p *Policy) Name() string { return p.name }

// Policies holds the policy of each dependency by name.
type Policies map[string]*Policy

// NewPolicies returns a policy for each configuration, by name.
func NewPolicies(cfg map[string]Config) Policies {
	out := make(Policies, len(cfg))
	for name, c := range cfg {
		out[name] = NewPolicy(name, c)
	}
	return out
}

// States returns the state of each breaker by the name of its policy.
func (p Policies) States() map[string]string {
	out := make(map[string]string, len(p))
	for name, policy := range p {
		out[name] = policy.State()
	}
	return out
}
