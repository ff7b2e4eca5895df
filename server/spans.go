package server

import (
	"context"

	"go.opentelemetry.io/otel"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/tracing"
)

// The spans of an order's steps. The span of its request is their parent.
const (
	spanReserve = "reserve"
	spanSettle  = "settle"
	spanRelease = "release"
	spanCharge  = "charge"
)

// TraceReserver returns r with a span around each step of an order whose trace is sampled. The span is that of the step's script in Redis: its
// retries are within it.
func TraceReserver(r Reserver) Reserver {
	return tracedReserver{Reserver: r, tracer: otel.Tracer(scope)}
}

type tracedReserver struct {
	Reserver
	tracer trace.Tracer
}

// Reserve has the span "reserve".
func (r tracedReserver) Reserve(ctx context.Context, req stock.Request) (stock.Reservation, error) {
	if !tracing.On(ctx) {
		return r.Reserver.Reserve(ctx, req)
	}
	ctx, span := r.start(ctx, spanReserve, req.OrderID)
	res, err := r.Reserver.Reserve(ctx, req)
	tracing.End(span, err)
	return res, err
}

// Settle has the span "settle".
func (r tracedReserver) Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error) {
	if !tracing.On(ctx) {
		return r.Reserver.Settle(ctx, id, chargeID, trace)
	}
	ctx, span := r.start(ctx, spanSettle, id)
	at, err := r.Reserver.Settle(ctx, id, chargeID, trace)
	tracing.End(span, err)
	return at, err
}

// Release has the span "release".
func (r tracedReserver) Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error) {
	if !tracing.On(ctx) {
		return r.Reserver.Release(ctx, id, reason, trace)
	}
	ctx, span := r.start(ctx, spanRelease, id)
	at, err := r.Reserver.Release(ctx, id, reason, trace)
	tracing.End(span, err)
	return at, err
}

func (r tracedReserver) start(ctx context.Context, script string, id order.ID) (context.Context, trace.Span) {
	ctx = tracing.WithinScript(ctx)
	return r.tracer.Start(ctx, script, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes( //nolint:spancheck // The caller ends it.
		semconv.DBSystemNameRedis, semconv.DBOperationName("EVALSHA"), semconv.DBStoredProcedureName(script), tracing.OrderID(id)))
}

// TracePayments returns p with a span around each charge of an order whose trace is sampled. The span has nothing of the card.
func TracePayments(p PaymentClient) PaymentClient {
	return tracedPayments{PaymentClient: p, tracer: otel.Tracer(scope)}
}

type tracedPayments struct {
	PaymentClient
	tracer trace.Tracer
}

// Charge has the span "charge".
func (p tracedPayments) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, p.PaymentClient.Charge)
}

// ChargeAgain has the span "charge".
func (p tracedPayments) ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, p.PaymentClient.ChargeAgain)
}

// chargeFunc is PaymentClient.Charge or ChargeAgain.
type chargeFunc func(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error)

func (p tracedPayments) charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card, call chargeFunc) (order.Charge, error) {
	if !tracing.On(ctx) {
		return call(ctx, id, amount, card)
	}
	ctx, span := p.tracer.Start(ctx, spanCharge, trace.WithAttributes(tracing.OrderID(id)))
	ch, err := call(ctx, id, amount, card)
	if err == nil {
		span.SetAttributes(tracing.ChargeDeclinedKey.Bool(ch.State == order.ChargeDeclined))
	}
	tracing.End(span, err)
	return ch, err
}
