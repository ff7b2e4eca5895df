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
	return do(ctx, ctx, b, timeout, 0, f)
}

// DoDetached is Do for short calls over connections that all callers share. Once f is called, the end of ctx does not cancel it: a client
// that (re)connects under the context of its first caller would otherwise fail for all callers when the first one leaves. DoDetached
// returns at most timeout after ctx ends, and the outcome of a call is known even if its caller left.
func DoDetached(ctx context.Context, b Breaker, timeout time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, context.WithoutCancel(ctx), b, timeout, 0, f)
}

// DoBlocking is Do for a blocking read, such as XREADGROUP or Receive: the dependency may wait for up to block before it responds. The call
// is bounded by timeout+block.
func DoBlocking(ctx context.Context, b Breaker, timeout, block time.Duration, f func(ctx context.Context) error) error {
	return do(ctx, ctx, b, timeout, block, f)
}

// do calls f with a context derived from parent, which is the caller's context or is detached from it.
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
	verdict := errPanicked // A half-open breaker never closes if its one trial is not reported, even after a panic.
	defer func() { b.Report(verdict) }()
	err := f(bounded)
	if verdict = err; err != nil && ended(parent) != nil && time.Since(began) < block+timeout/2 {
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
