package queue

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/propagation"
)

// traceHeader is the one W3C header that every trace context has.
const traceHeader = "traceparent"

// Prepare checks the messages and returns copies with the trace context of ctx in their headers. It does not change the
// caller's maps, and a message with a trace context of its own keeps it. Adapters call it in Send.
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

// Context returns ctx with the trace context of the message as a remote parent, or ctx unchanged if the message has
// none.
func (m Message) Context(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(m.Headers))
}
