package server

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
)

const scope = "github.com/spillway/spillway/server"

// The results of PlaceOrder that are no errors. An error's result is its reason, of docs/errors.md.
const (
	resultAccepted = "accepted" // PAID, or further
	resultPending  = "pending"  // not paid yet, or the charge's outcome is unknown
	resultReplayed = "replayed" // the order of an earlier request with the same key
)

// CheckoutMetrics counts orders and the results of PlaceOrder. Its interceptor is outside of the one that translates errors; and it wraps the
// Reserver, to distinguish new orders from those of earlier requests.
type CheckoutMetrics struct {
	placed, reserved, results metric.Int64Counter
	steps                     *stepMetrics
}

// NewCheckoutMetrics makes the counters, of the global meter provider.
func NewCheckoutMetrics() (*CheckoutMetrics, error) {
	meter := otel.Meter(scope)
	placed, err1 := meter.Int64Counter("app.order.placed", metric.WithUnit("{orders}"),
		metric.WithDescription("New orders that PlaceOrder returned, PAID or PENDING. A repeated request is not counted again."))
	reserved, err2 := meter.Int64Counter("app.stock.charge.success", metric.WithUnit("{orders}"),
		metric.WithDescription("Orders with all units deducted in Redis."))
	results, err3 := meter.Int64Counter("spillway.checkout.results", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls of PlaceOrder by result: accepted, pending, replayed, or the reason of the error."))
	steps, err4 := newStepMetrics(meter)
	return &CheckoutMetrics{placed: placed, reserved: reserved, results: results, steps: steps}, errors.Join(err1, err2, err3, err4)
}

// placement is what a call of PlaceOrder did. It travels in the context.
type placement struct{ isNew bool }

type placementKey struct{}

// Interceptor returns the interceptor that counts the calls of PlaceOrder.
func (m *CheckoutMetrics) Interceptor() connect.Interceptor {
	return m.InterceptorOf(spillwayv1connect.CheckoutServicePlaceOrderProcedure)
}

// InterceptorOf returns the interceptor that counts the calls of the procedure, which places orders.
func (m *CheckoutMetrics) InterceptorOf(procedure string) connect.Interceptor {
	return interceptor{unary: func(next connect.UnaryFunc) connect.UnaryFunc { return m.count(procedure, next) }}
}

func (m *CheckoutMetrics) count(procedure string, next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if req.Spec().Procedure != procedure {
			return next(ctx, req)
		}
		m.steps.placing.Add(1)
		defer m.steps.placing.Add(-1)
		p := &placement{}
		resp, err := next(context.WithValue(ctx, placementKey{}, p), req)
		m.record(ctx, p, resp, err)
		return resp, err
	}
}

// CountRefused counts a call that was refused before the interceptors ran: see Config.Refused.
func (m *CheckoutMetrics) CountRefused(ctx context.Context, procedure string, err error) {
	if procedure == spillwayv1connect.CheckoutServicePlaceOrderProcedure {
		m.record(ctx, &placement{}, nil, err)
	}
}

func (m *CheckoutMetrics) record(ctx context.Context, p *placement, resp connect.AnyResponse, err error) {
	result := resultReplayed
	switch {
	case err != nil:
		result = resultOf(err)
	case p.isNew:
		m.placed.Add(ctx, 1)
		if result = resultAccepted; isPending(resp) {
			result = resultPending
		}
	}
	m.results.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
}

func isPending(resp connect.AnyResponse) bool {
	placed, ok := resp.Any().(*spillwayv1.PlaceOrderResponse)
	return ok && placed.GetOrder().GetState() == spillwayv1.OrderState_ORDER_STATE_PENDING
}

// resultOf returns the reason of a translated error, or its code if it has none.
func resultOf(err error) string {
	var refused *refusalError
	if errors.As(err, &refused) {
		return string(refused.reason)
	}
	var failed *connect.Error
	if !errors.As(err, &failed) {
		return string(order.ReasonInternal)
	}
	for _, d := range failed.Details() {
		if v, err := d.Value(); err == nil {
			if info, ok := v.(*errdetails.ErrorInfo); ok {
				return info.GetReason()
			}
		}
	}
	return failed.Code().String()
}

// Reserver returns r with its successes counted.
func (m *CheckoutMetrics) Reserver(r Reserver) Reserver {
	return measuredReserver{Reserver: r, metrics: m}
}

type measuredReserver struct {
	Reserver
	metrics *CheckoutMetrics
}

// Reserve counts a new reservation.
func (r measuredReserver) Reserve(ctx context.Context, req stock.Request) (stock.Reservation, error) {
	res, err := r.Reserver.Reserve(ctx, req)
	if err != nil || res.Replay == "" {
		r.metrics.steps.count(ctx, stepReserve, err)
	}
	if err == nil && res.Replay == "" {
		r.metrics.reserved.Add(ctx, 1)
		if p, ok := ctx.Value(placementKey{}).(*placement); ok {
			p.isNew = true
		}
	}
	return res, err
}
