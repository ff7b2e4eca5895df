// Package tracing carries the trace context of an order from its request to the workers that finish it, and makes the spans of batches of
// orders. It uses OpenTelemetry's API alone: package telemetry, or the program that embeds a shop, sets the tracer provider.
//
// A span holds only the attributes of this package, those of OpenTelemetry's semantic conventions for calls, SQL, Redis and messages, and no
// text of an error: no span has personal data, a card or a token (I13).
package tracing
