package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

// inFlightMax bounds the requests that are served at once: each holds a few kB and, at most, a place in a group commit.
// Beyond it callers are refused at once rather than made to wait for a timeout (I11).
const inFlightMax = 4096

// limit refuses what is beyond the bound. A stream lasts for minutes and does nothing nearly all the time, so it takes no place of those
// who are answered once: whoever serves it has a bound of its own (Hub).
func limit(n int) connect.Interceptor {
	places := make(chan struct{}, n)
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				select {
				case places <- struct{}{}:
					defer func() { <-places }()
					return next(ctx, req)
				default:
					return nil, &order.RetryError{After: defaultRetry, Err: fmt.Errorf("%d requests are being served: %w", n, order.ErrBusy)}
				}
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc { return next },
	}
}

// recovered turns a panic into an internal error that is logged with its stack.
func recovered(log *slog.Logger) connect.HandlerOption {
	return connect.WithRecover(func(ctx context.Context, spec connect.Spec, _ httpHeader, r any) error {
		log.ErrorContext(ctx, "an RPC panicked", "procedure", spec.Procedure, "panic", r, "stack", string(debug.Stack()))
		return connect.NewError(connect.CodeInternal, errors.New("internal error; the log says more"))
	})
}
