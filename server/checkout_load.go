package server

import (
	"context"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// CheckoutLoad counts the requests in progress that place or pay an order. It is safe for concurrent use.
type CheckoutLoad struct{ inFlight atomic.Int64 }

// InFlight returns the number of requests in progress.
func (l *CheckoutLoad) InFlight() int { return int(l.inFlight.Load()) }

// Interceptor returns the interceptor that counts.
func (l *CheckoutLoad) Interceptor() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				switch req.Spec().Procedure {
				case spillwayv1connect.CheckoutServicePlaceOrderProcedure, spillwayv1connect.CheckoutServicePayOrderProcedure:
					l.inFlight.Add(1)
					defer l.inFlight.Add(-1)
				}
				return next(ctx, req)
			}
		},
	}
}
