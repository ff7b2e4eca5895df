package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Breaker permits calls to a dependency until too many of them have failed. It is safe for concurrent use.
type Breaker interface {
	// Permit takes a permit for one call. While the breaker is open it returns an order.RetryError at once.
	Permit() error
	// Report records the outcome of a permitted call and is called exactly once for each permit: nil is a success, ErrCallerLeft
	// neither success nor failure, any other error a failure.
	Report(err error)
}

var (
	// ErrCallerLeft means that the caller's own deadline or cancellation ended a call before half of its timeout had passed. The outcome
	// of such a call is unknown, and it is no evidence about the dependency.
	ErrCallerLeft = errors.New("caller left")
	// errPanicked is the outcome reported for a call that panicked.
	errPanicked = errors.New("call panicked")
)

// Do calls f under the breaker and bounds it by timeout. f returns an error only if the dependency failed: a response such as a Redis
// error reply, a missing row or a duplicate is a success, which f passes to the caller by a captured variable.
//
// When ctx ends, the call counts as a failure only if f had at least half of the timeout by then. So a caller with very short deadlines
// cannot open the breaker for all others, and callers with a deadline slightly below the timeout cannot keep it closed when the
// dependency hangs. If ctx has ended before the call, no permit is taken.
//
// Do returns the error of Permit, of ctx (wrapped in ErrCallerLeft) if it had ended before, or of f. It does not retry.
func Do(ctx context.Context, b Breaker, timeout time.Duration, f func(ctx context.Context) error) error {
	return DoBlocking(ctx, b, timeout, 0, f)
}

// DoBlocking is Do for a blocking read, such as XREADGROUP or Receive: the dependency may wait for up to block before it responds. The call
// is bounded by timeout+block.
func DoBlocking(ctx context.Context, b Breaker, timeout, block time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, ctx, b, block+timeout/2, func() error {
		bounded, cancel := context.WithTimeout(ctx, timeout+block)
		defer cancel()
		return f(bounded)
	})
}

// DoDetached is Do for short calls over connections that all callers share. Once f is called, the end of ctx does not cancel it: a client
// that (re)connects under the context of its first caller would otherwise fail for all callers when the first one leaves. DoDetached
// returns at most timeout and its slack after ctx ends, and the outcome of a call is known even if its caller left. The calls of a
// dependency share one timeout, so that a call needs no timer.
func DoDetached(ctx context.Context, b Breaker, shared *SharedTimeout, timeout time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, context.Background(), b, timeout/2, func() error { return f(shared.Detach(ctx, timeout)) })
}

// DoLocal is Do for a dependency in this process which bounds itself, so that a call needs no timer. The timeout only separates callers that
// left early from failures.
func DoLocal(ctx context.Context, b Breaker, timeout time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, ctx, b, timeout/2, func() error { return f(ctx) })
}

// do calls f, which bounds itself. If f fails after the end of parent, before it had the time that counts as a failure, the caller left.
func do(caller, parent context.Context, b Breaker, failure time.Duration, f func() error) error {
	if err := ended(caller); err != nil {
		return fmt.Errorf("not sent: %w: %w", ErrCallerLeft, err)
	}
	if err := b.Permit(); err != nil {
		return err
	}
	began := time.Now()
	verdict := errPanicked // A half-open breaker never closes if its one trial is not reported, even after a panic.
	defer func() { b.Report(verdict) }()
	err := f()
	if verdict = err; err != nil && ended(parent) != nil && time.Since(began) < failure {
		verdict = ErrCallerLeft
	}
	return err
}

// ended returns ctx.Err, or context.DeadlineExceeded if the deadline has passed and the context's timer has not fired yet. Some clients
// compare the deadline with the clock, so their error can come before the timer fires.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
