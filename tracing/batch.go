package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/order"
)

// MaxLinks bounds the links of one span: the default limit of OpenTelemetry's SDK. Batches count the orders beyond it in LinksOmittedKey.
const MaxLinks = 128

// Links are the spans of the orders that a batch handles, at most MaxLinks of them. The zero value is empty. It is not safe for concurrent use.
type Links struct {
	links   []trace.Link
	seen    map[trace.SpanID]bool
	omitted int
}

// Add adds the span of a trace context, once. It leaves out a span that is not sampled, because it is stored nowhere: a batch of orders that
// are not sampled costs nothing but a look at each of their flags.
func (l *Links) Add(text string) {
	if !Sampled(text) {
		return
	}
	l.add(Parse(text))
}

func (l *Links) add(sc trace.SpanContext) {
	if !sc.IsSampled() || l.seen[sc.SpanID()] {
		return
	}
	if l.seen == nil {
		l.seen = make(map[trace.SpanID]bool, MaxLinks)
	}
	l.seen[sc.SpanID()] = true
	if len(l.links) == MaxLinks {
		l.omitted++
		return
	}
	l.links = append(l.links, trace.Link{SpanContext: sc})
}

// Any reports whether a span is linked to, so that one of the orders is sampled.
func (l *Links) Any() bool { return len(l.links) > 0 }

// Sampled reports whether text is a trace context with the flag of a sampled trace. It allocates nothing.
func Sampled(text string) bool {
	if len(text) < parentBytes {
		return false
	}
	last := text[parentBytes-1] // A hexadecimal digit, with the flag in its lowest bit.
	return last >= '0' && last <= '9' && last&1 == 1 || last >= 'a' && last <= 'f' && last&1 == 0
}

// StartBatch starts the span of a batch of size items, which links to the spans of their orders. Package telemetry's sampler records it if one
// of them is sampled.
func StartBatch(ctx context.Context, scope, name string, size int, links *Links) (context.Context, trace.Span) {
	attributes := []attribute.KeyValue{BatchSizeKey.Int(size)}
	if links.omitted > 0 {
		attributes = append(attributes, LinksOmittedKey.Int(links.omitted))
	}
	return otel.Tracer(scope).Start(ctx, name, trace.WithLinks(links.links...), trace.WithAttributes(attributes...)) //nolint:spancheck // The caller ends it.
}

// Step is one step of one order in a batch.
type Step struct {
	OrderID order.ID
	// To is the state that the step leads to.
	To order.State
	// Trace is the trace context of the request that caused it, or empty.
	Trace string
}

// RecordSteps records a span for each step of a sampled order, from began until now: a child of the span of the order's request, with a link to
// the span of ctx, which is that of the batch.
func RecordSteps(ctx context.Context, scope, name string, began time.Time, steps []Step) {
	tracer, ended := otel.Tracer(scope), trace.WithTimestamp(time.Now())
	opts := []trace.SpanStartOption{
		trace.WithTimestamp(began), trace.WithLinks(trace.Link{SpanContext: trace.SpanContextFromContext(ctx)}), nil,
	}
	for _, s := range steps {
		if !Sampled(s.Trace) {
			continue
		}
		sc := Parse(s.Trace)
		if !sc.IsValid() {
			continue
		}
		opts[len(opts)-1] = trace.WithAttributes(OrderID(s.OrderID), OrderState(s.To))
		_, span := tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), sc), name, opts...)
		if span.SpanContext().SpanID() == sc.SpanID() {
			return // There is no provider: the flags are those of callers.
		}
		span.End(ended)
	}
}
