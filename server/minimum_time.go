package server

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
)

// minRemaining is the least time that a call must have left for work to begin: a reservation alone takes about a millisecond, and its
// response has to travel. A call with less would take stock for a caller that does not wait for the response.
const minRemaining = 5 * time.Millisecond

// checkTime fails with context.DeadlineExceeded if the caller's deadline is too near for any work.
func checkTime(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if left := time.Until(deadline); ok && left < minRemaining {
		return fmt.Errorf("the call's deadline leaves %s, and at least %s are needed: %w", max(left, 0), minRemaining, context.DeadlineExceeded)
	}
	return nil
}

// minimumTime refuses calls with a deadline that is too near, before any work is done for them.
func minimumTime() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				if err := checkTime(ctx); err != nil {
					return nil, err
				}
				return next(ctx, req)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc { return next },
	}
}
