package queue

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/propagation"
)

// traceHeader is the one of the W3C's headers that is always there when there is a trace.
const traceHeader = "traceparent"

// Prepare checks the messages and returns them with the trace context of ctx in their headers. The caller's maps stay
// as they are, and a message that carries a trace context of its own keeps it. Adapters call it in Send.
func Prepare(ctx context.Context, messages []Outgoing) ([]Outgoing, error) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	out := make([]Outgoing, len(messages))
	for i, m := range messages {
		if _, own := m.Headers[traceHeader]; !own && len(carrier) > 0 {
			headers := make(map[string]string, len(m.Headers)+len(carrier))
			maps.Copy(headers, m.Headers)
			maps.Copy(headers, carrier)
			m.Headers = headers
		}
		if err := m.Check(); err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}

// Context returns ctx with the trace context that the message carries, as a remote parent. Without one it is ctx.
func (m Message) Context(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(m.Headers))
}
