package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/order"
)

// On reports whether the trace of ctx is sampled. The spans of calls begin only then, so that those of other traces cost no allocation.
func On(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsSampled() }

// End ends a span with the class of err, which becomes the attribute error.type. The text of err may quote what a customer sent, and so is in
// no span.
func End(span trace.Span, err error) {
	Record(span, err)
	span.End()
}

// Record records the class of err in the span, if it is not nil.
func Record(span trace.Span, err error) {
	if err == nil {
		return
	}
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String(classOf(err)))
}

// classes are the classes of errors that spans name.
var classes = []struct {
	err  error
	name string
}{
	{order.ErrInvalid, "invalid"},
	{order.ErrNotFound, "not_found"},
	{order.ErrAlreadyExists, "already_exists"},
	{order.ErrFailedPrecondition, "failed_precondition"},
	{order.ErrOverloaded, "overloaded"},
	{order.ErrUnknownOutcome, "unknown_outcome"},
	{order.ErrRejected, "rejected"},
	{order.ErrUnavailable, "unavailable"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
}

func classOf(err error) string {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "_OTHER"
}

type scriptKey struct{}

// WithinScript returns a context for the commands of a script that has a span of its own: they get none.
func WithinScript(ctx context.Context) context.Context {
	return context.WithValue(ctx, scriptKey{}, true)
}

// IsWithinScript reports whether the commands of ctx are those of a script that has a span of its own.
func IsWithinScript(ctx context.Context) bool { return ctx.Value(scriptKey{}) != nil }
