package queue

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/propagation"

	"github.com/spillway/spillway/tracing"
)

// traceHeader is the one W3C header that every trace context has; stateHeader may come with it.
const (
	traceHeader = "traceparent"
	stateHeader = "tracestate"
)

// Prepare checks the messages and returns copies with the checksum of their bodies and the trace context of ctx in their
// headers. It does not change the caller's maps, and a message with a trace context of its own keeps it. Adapters call it
// in Send.
func Prepare(ctx context.Context, messages []Outgoing) ([]Outgoing, error) {
	carrier := traceHeaders(ctx)
	out := make([]Outgoing, len(messages))
	for i, m := range messages {
		if err := m.Check(); err != nil {
			return nil, err
		}
		headers := make(map[string]string, len(m.Headers)+len(carrier)+1)
		maps.Copy(headers, m.Headers)
		if _, own := m.Headers[traceHeader]; !own {
			maps.Copy(headers, carrier)
		}
		headers[checksumHeader] = checksum(m.Body)
		m.Headers = headers
		out[i] = m
	}
	return out, nil
}

// traceHeaders returns the trace context of ctx as headers; nil without one. A tracestate that is too long for them is left out.
func traceHeaders(ctx context.Context) map[string]string {
	parent, state := tracing.Split(tracing.Of(ctx))
	switch {
	case parent == "":
		return nil
	case state == "":
		return map[string]string{traceHeader: parent}
	}
	return map[string]string{traceHeader: parent, stateHeader: state}
}

// Context returns ctx with the trace context of the message as a remote parent, or ctx unchanged if the message has
// none.
func (m Message) Context(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(m.Headers))
}
