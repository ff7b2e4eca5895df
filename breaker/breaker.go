package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Breaker permits calls to a dependency while that is believed to work. It is safe for concurrent use.
type Breaker interface {
	// Permit fails at once, with an order.RetryError, while the dependency is known not to work.
	Permit() error
	// Report ends a permitted call, exactly once: nil is a success, ErrCallerLeft neither success nor failure, any other error a
	// failure.
	Report(err error)
}

var (
	// ErrCallerLeft means that the caller's own deadline or cancellation ended a call before the dependency can be called slow.
	// The outcome of such a call is unknown: it says nothing about the dependency.
	ErrCallerLeft = errors.New("the caller left")
	// errPanicked is reported for a call that did not return.
	errPanicked = errors.New("the call panicked")
)

// Do calls f under the breaker and bounds it by timeout. f returns an error only if the dependency failed: an answer such as a Redis
// error reply, a missing row or a duplicate is a success, which the caller captures beside it.
//
// When ctx ends, the call counts as a failure only if f had at least half of the timeout by then. So a caller with tiny deadlines
// cannot open the breaker for everybody, and callers that all have a deadline slightly below the timeout cannot keep it closed before a
// dependency that is frozen. A context that has ended before the call costs no permit.
//
// Do returns the error of Permit, of ctx (wrapped in ErrCallerLeft) if it had ended before, or of f.
func Do(ctx context.Context, b Breaker, timeout time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, ctx, b, timeout, 0, f)
}

// DoDetached is Do for short calls over connections that all callers share. Once f is called, the end of ctx does not reach it: a client
// that (re)connects under the context of the first caller would fail for everybody when that caller leaves. It returns at most timeout
// after ctx ends, and the outcome of a call is known although its caller left.
func DoDetached(ctx context.Context, b Breaker, timeout time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, context.WithoutCancel(ctx), b, timeout, 0, f)
}

// DoBlocking is Do for a call that asks the dependency to wait for something, for up to the given time, before it answers.
func DoBlocking(ctx context.Context, b Breaker, timeout, block time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, ctx, b, timeout, block, f)
}

// do calls f with a context made of parent, which is the caller's or detached from it.
func do(caller, parent context.Context, b Breaker, timeout, block time.Duration, f func(ctx context.Context) error) error {
	if err := ended(caller); err != nil {
		return fmt.Errorf("not sent: %w: %w", ErrCallerLeft, err)
	}
	if err := b.Permit(); err != nil {
		return err
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(parent, timeout+block)
	defer cancel()
	verdict := errPanicked // A breaker whose one trial panicked would stay half open for ever without its report.
	defer func() { b.Report(verdict) }()
	err := f(bounded)
	if verdict = err; err != nil && ended(parent) != nil && time.Since(began) < block+timeout/2 {
		verdict = ErrCallerLeft
	}
	return err
}

// ended is ctx.Err, without the wait for a timer that fires late: a client that compares the deadline with the clock is faster.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}
