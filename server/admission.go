package server

import (
	"context"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/requestid"
)

// Admission decides which calls are served. Each Class of calls has a limiter of its own. Streams, health checks and /metrics pass it.
type Admission struct {
	limiters    map[Class]*AdaptiveLimiter
	byProcedure map[string]procedureLimit
}

// procedureLimit is what applies to the calls of one procedure.
type procedureLimit struct {
	*AdaptiveLimiter

	// urgent calls concern an order that holds stock. They are admitted when new orders are not any more.
	urgent bool
	// unmeasured calls have a duration that shows nothing about the load, because they wait for the drain.
	unmeasured bool
	// load counts the calls as well, unless it is nil.
	load *CheckoutLoad
}

// enter counts a call that goes on whatever the limit is.
func (p procedureLimit) enter() {
	p.AdaptiveLimiter.enter()
	p.load.add(1)
}

// leave ends the counting of a call.
func (p procedureLimit) leave() {
	p.AdaptiveLimiter.leave()
	p.load.add(-1)
}

// AdmissionConfig configures an Admission.
type AdmissionConfig struct {
	// Limits are the highest limits; a class without one has that of DefaultLimits.
	Limits map[Class]int
	// Latency is the target for the 90th percentile of checkouts, and of reads; 0 keeps their limits fixed. The other classes have fixed limits.
	Latency time.Duration
	// Load counts the calls that place or pay an order; nil counts none.
	Load *CheckoutLoad
}

// DefaultLatency is what the slowest tenth of the checkouts may take in the server, without the payment provider. On two cores that the load
// generator, Redis and MySQL share, 2,500 orders offered a second end as 2,050 to 2,300 with 100 ms, and as 1,550 to 1,800 with 50 ms: calls that are
// in progress together share commits. The p99 of the accepted ones is 105 to 150 ms with either.
const DefaultLatency = 100 * time.Millisecond

// NewAdmission makes the limiters.
func NewAdmission(cfg AdmissionConfig) *Admission {
	a := &Admission{limiters: make(map[Class]*AdaptiveLimiter), byProcedure: make(map[string]procedureLimit, len(permissions))}
	for class, n := range DefaultLimits() {
		if own, ok := cfg.Limits[class]; ok {
			n = own
		}
		adaptive := AdaptiveConfig{Max: n}
		if class == ClassCheckout || class == ClassBrowse {
			adaptive.Latency = cfg.Latency
		}
		a.limiters[class] = NewAdaptiveLimiter(string(class), adaptive, time.Now)
	}
	for procedure := range permissions {
		p := procedureLimit{AdaptiveLimiter: a.limiters[classOf(procedure)]}
		switch procedure {
		case spillwayv1connect.CheckoutServicePlaceOrderProcedure:
			p.load = cfg.Load
		case spillwayv1connect.CheckoutServicePayOrderProcedure:
			p.load, p.urgent = cfg.Load, true
		case spillwayv1connect.OrderServiceCancelOrderProcedure:
			p.urgent, p.unmeasured = true, true
		}
		a.byProcedure[procedure] = p
	}
	return a
}

// intercept refuses calls beyond the limits.
func (a *Admission) intercept() connect.Interceptor {
	return a.interceptOf(func(procedure string) procedureLimit { return a.byProcedure[procedure] })
}

// interceptAs is intercept for procedures that have the limits of others.
func (a *Admission) interceptAs(other map[string]string) connect.Interceptor {
	return a.interceptOf(func(procedure string) procedureLimit { return a.byProcedure[other[procedure]] })
}

func (*Admission) interceptOf(limitOf func(procedure string) procedureLimit) connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				p := limitOf(req.Spec().Procedure)
				if !p.acquire(p.urgent) {
					return nil, p.refusal()
				}
				p.load.add(1)
				call := &admittedCall{limit: p, since: p.now()}
				served := false
				defer func() { call.end(served) }() // Also after a panic.
				resp, err := next(context.WithValue(ctx, admittedKey{}, call), req)
				served = err == nil
				return resp, err
			}
		},
	}
}

// refuseEarly refuses unary calls of Connect's before their bodies are read, which costs a fraction of a refusal by intercept: in an overload
// most calls are refused, and take their time from those that are served. The calls of other protocols are left to intercept. A call
// takes its place only when its body is there, so that clients that send slowly hold none.
func (a *Admission) refuseEarly(procedure string, refused func(ctx context.Context, procedure string, err error), next http.Handler) http.Handler {
	p, limited := a.byProcedure[procedure]
	if !limited || streams[procedure] {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.isFull(p.urgent) || r.Method != http.MethodPost || !isUnaryType(r.Header.Get("Content-Type")) {
			next.ServeHTTP(w, r)
			return
		}
		p.shed.Add(1)
		err := &refusalError{refusal: refusalOf(p.refusal()), requestID: requestid.From(r.Context())}
		err.built = connect.NewError(err.code, textError(err.text)) // Without details, which nothing here reads.
		refused(r.Context(), procedure, err)
		writeRefusal(w, err)
	})
}

// writeRefusal writes a Connect error.
func writeRefusal(w http.ResponseWriter, err *refusalError) {
	body, _ := encodeErrorBody(err.refusal, err.requestID) // Its texts need no escapes.
	w.Header().Set("Content-Type", usualContentType)
	err.setHeaders(w.Header())
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = io.WriteString(w, body) // The client may be gone.
}
