package server

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// SessionLimit bounds the guest sessions that one address may start. Each session is a new customer, so that
// without it the limits of a customer could be evaded.
type SessionLimit struct {
	// PerMinute sessions may be started by an address, that many at once after a pause; 0 is no limit.
	PerMinute int
	// Shared counts for all processes; nil counts in this process.
	Shared EventCounter
	Log    *slog.Logger
}

// window is the limit that the processes share: a process forgets neither its burst nor those of the others within a minute.
func (l SessionLimit) window() *windowLimit {
	return newWindowLimit(string(order.LimitSessions), l.PerMinute, time.Minute, l.Shared, l.Log)
}

// maxAddresses bounds the addresses that are remembered, of about 200 bytes each; beyond it the one that was seen longest ago is forgotten.
const maxAddresses = 50_000

// intercept limits StartGuestSession. Operators and services are exempt: an application server starts sessions for many visitors.
func (l SessionLimit) intercept(now func() time.Time) connect.Interceptor {
	buckets, window := newBuckets[netip.Addr](l.PerMinute, maxAddresses), l.window()
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				if !l.applies(ctx, req.Spec().Procedure) {
					return next(ctx, req)
				}
				addr := addressFrom(ctx)
				wait := buckets.take(addr, now())
				if wait == 0 && l.Shared != nil {
					wait = window.take(ctx, addr.String())
				}
				if wait > 0 {
					return nil, &order.LimitError{Limit: order.LimitSessions, Maximum: int64(l.PerMinute), After: wait}
				}
				return next(ctx, req)
			}
		},
	}
}

func (l SessionLimit) applies(ctx context.Context, procedure string) bool {
	caller, _ := auth.From(ctx)
	return l.PerMinute > 0 && procedure == spillwayv1connect.SessionServiceStartGuestSessionProcedure && !caller.Has(auth.Operator, auth.Service)
}
