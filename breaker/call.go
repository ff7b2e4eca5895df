package breaker

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/order"
)

// Call calls f under the policy and returns its result. A call that exceeds the timeout returns an order.RetryError with
// order.ErrUnavailable and order.ErrUnknownOutcome. Errors that are no failure by IsFailure are reported as successes. Call does not retry.
func Call[T any](ctx context.Context, p *Policy, f func(ctx context.Context) (T, error)) (T, error) {
	return CallUnder(ctx, p, p, f)
}

// CallUnder is Call, except that it takes its permit from b and reports to b.
func CallUnder[T any](ctx context.Context, b Breaker, p *Policy, f func(ctx context.Context) (T, error)) (T, error) {
	return call(ctx, b, p, false, f)
}

// CallLocal is CallUnder for a service in this process which bounds itself: a call takes a permit, and needs no timer.
func CallLocal[T any](ctx context.Context, b Breaker, p *Policy, f func(ctx context.Context) (T, error)) (T, error) {
	return call(ctx, b, p, true, f)
}

func call[T any](ctx context.Context, b Breaker, p *Policy, local bool, f func(ctx context.Context) (T, error)) (T, error) {
	var result, none T
	var outcome, err error
	run := func(bounded context.Context) error {
		result, outcome = f(bounded)
		if !IsFailure(outcome) && !errors.Is(outcome, context.Canceled) {
			return nil
		}
		if bounded.Err() != nil && ctx.Err() == nil {
			outcome = p.timedOut()
		}
		return outcome
	}
	if local {
		err = DoLocal(ctx, b, p.timeout, run)
	} else {
		err = Do(ctx, b, p.timeout, run)
	}
	if outcome != nil {
		err = outcome
	}
	if err != nil {
		return none, err
	}
	return result, nil
}

// WithOutcome adds order.ErrUnknownOutcome to the error of a call with side effects, unless it is known that the call had none. That is
// known if the call was not sent, or if the dependency responded that it refused the call.
func WithOutcome(err error) error {
	left := errors.Is(err, context.Canceled) || errors.Is(err, ErrCallerLeft)
	known := errors.Is(err, ErrNotSent) || errors.Is(err, order.ErrRejected) || !IsFailure(err) && !left
	if known || errors.Is(err, order.ErrUnknownOutcome) {
		return err
	}
	return fmt.Errorf("%w: %w", order.ErrUnknownOutcome, err)
}
