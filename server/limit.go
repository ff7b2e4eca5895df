package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
)

// Class is a kind of calls that has its own bound, so that a flood of one kind leaves the others alone. Streams have none: they last for
// minutes and do nothing nearly all the time, and Hub bounds them.
type Class string

// The classes.
const (
	// ClassCheckout places, pays and cancels orders.
	ClassCheckout Class = "checkouts"
	// ClassBrowse reads the catalogue, carts, orders and sessions, changes carts, and claims the orders of guests.
	ClassBrowse Class = "reads"
	// ClassSearch looks through the text of all products.
	ClassSearch Class = "searches"
	// ClassOperate is what operators call.
	ClassOperate Class = "operator calls"
)

// DefaultLimits bound the calls of each class that are served at once. Beyond it callers are refused at once rather than made to wait for
// a timeout (I11). Those of checkouts and reads are the highest values of limits that adapt to the load: see AdaptiveLimiter.
func DefaultLimits() map[Class]int {
	return map[Class]int{
		// Each holds a few kB and, at most, a place in a group commit. At 50 ms a call they are 20,000 a second.
		ClassCheckout: 1024, ClassBrowse: 1024,
		// Searches wait up to a second for the few connections that they share.
		ClassSearch: 16,
		// Fewer than there are connections to SQL, because a call may hold one for seconds.
		ClassOperate: 8,
	}
}

// checkouts are the procedures of ClassCheckout.
var checkouts = []string{
	spillwayv1connect.CheckoutServiceQuoteProcedure, spillwayv1connect.CheckoutServicePlaceOrderProcedure,
	spillwayv1connect.CheckoutServicePayOrderProcedure, spillwayv1connect.OrderServiceCancelOrderProcedure,
}

// classOf returns the class of a procedure.
func classOf(procedure string) Class {
	may := permissions[procedure]
	switch {
	case slices.Contains(checkouts, procedure):
		return ClassCheckout
	case procedure == spillwayv1connect.CatalogServiceSearchProductsProcedure:
		return ClassSearch
	case slices.Contains(may.roles, auth.Operator):
		return ClassOperate
	}
	return ClassBrowse
}

// recovered turns a panic into an internal error that is logged with its stack.
func recovered(log *slog.Logger) connect.HandlerOption {
	return connect.WithRecover(func(ctx context.Context, spec connect.Spec, _ httpHeader, r any) error {
		log.ErrorContext(ctx, "rpc panicked", "procedure", spec.Procedure, "panic", order.PanicText(r), "stack", string(debug.Stack()))
		return refusal{code: connect.CodeInternal, reason: order.ReasonInternal, text: textInternal + requestid.From(ctx)}.connectError(ctx)
	})
}

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
	}
}
