package workers

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/tracing"
)

// The spans of batches. Each links to the spans of the requests of its orders.
const (
	spanFlushBatch = "flush batch"
	spanRelayBatch = "relay batch"
	spanWriteBatch = "write batch"
	spanShipBatch  = "ship batch"
	spanMailBatch  = "mail batch"
)

// The spans of an order's steps: children of the span of its request, with a link to the batch.
const (
	spanRelay = "relay"
	spanWrite = "write"
	spanShip  = "ship"
)

// linksOf returns the spans of the requests of a batch's items.
func linksOf[T any](items []T, of func(*T) string) *tracing.Links {
	var out tracing.Links
	for i := range items {
		out.Add(of(&items[i]))
	}
	return &out
}

func traceOfEntry(e *journal.Entry) string { return e.Trace }
func traceOfEvent(e *order.Event) string   { return e.Trace }
func traceOfOrder(o *order.Order) string   { return o.Trace }
func traceOfMail(m *outgoingMail) string   { return m.trace }

// entrySteps are the steps that the entries cause.
func entrySteps(entries []journal.Entry) []tracing.Step {
	out := make([]tracing.Step, 0, len(entries))
	for i := range entries {
		if to, ok := entries[i].Kind.State(); ok {
			out = append(out, tracing.Step{OrderID: entries[i].OrderID, To: to, Trace: entries[i].Trace})
		}
	}
	return out
}

// eventSteps are the steps of the events, without those of the orders in dead.
func eventSteps(events []order.Event, dead map[order.ID]bool) []tracing.Step {
	out := make([]tracing.Step, 0, len(events))
	for i := range events {
		if e := &events[i]; !dead[e.Order.ID] {
			out = append(out, tracing.Step{OrderID: e.Order.ID, To: e.To, Trace: e.Trace})
		}
	}
	return out
}

// startShip returns a context for the carrier's calls for one order. If the order's trace is sampled, it has a span in that trace, with a link to
// the span of ctx. The caller ends the span.
func startShip(ctx context.Context, o order.Order) (context.Context, trace.Span) {
	if !tracing.Sampled(o.Trace) {
		return ctx, trace.SpanFromContext(context.Background())
	}
	sc := tracing.Parse(o.Trace)
	batch := trace.Link{SpanContext: trace.SpanContextFromContext(ctx)}
	ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
	return otel.Tracer(scope).Start(ctx, spanShip, trace.WithLinks(batch), trace.WithAttributes(tracing.OrderID(o.ID))) //nolint:spancheck // The caller ends it.
}
