package tracing

import (
	"context"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

const (
	// parentBytes is the length of a W3C traceparent of version 00.
	parentBytes = 55
	// MaxStateBytes bounds a W3C tracestate, in bytes: the specification asks to pass on at least 512. A longer one is left out.
	MaxStateBytes = 512
	// MaxBytes bounds a trace context as text, in bytes.
	MaxBytes = parentBytes + 1 + MaxStateBytes
)

// separator is between traceparent and tracestate. Readers of earlier versions, which know the traceparent only, ignore what follows it.
const separator = " "

// Of returns the trace context of ctx as text: a W3C traceparent and, after a space, the tracestate if there is one. It is empty without a
// trace. Journal entries and rows carry it in this form.
func Of(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	return Join(traceparent(sc), sc.TraceState().String())
}

// Join returns the trace context of the two headers as text. It leaves out a tracestate of more than MaxStateBytes.
func Join(parent, state string) string {
	if state == "" || parent == "" || len(state) > MaxStateBytes {
		return parent
	}
	return parent + separator + state
}

// Split returns the two headers of a trace context.
func Split(text string) (parent, state string) {
	parent, state, _ = strings.Cut(text, separator)
	return parent, state
}

// traceparent formats the header in one allocation.
func traceparent(sc trace.SpanContext) string {
	var b [parentBytes]byte
	id, span := sc.TraceID(), sc.SpanID()
	b[0], b[1], b[2], b[35], b[52] = '0', '0', '-', '-', '-'
	hex.Encode(b[3:35], id[:])
	hex.Encode(b[36:52], span[:])
	hex.Encode(b[53:55], []byte{byte(sc.TraceFlags() & trace.FlagsSampled)})
	return string(b[:])
}

// Context returns ctx with the trace context of text as a remote parent, or ctx unchanged if text has none that can be read.
func Context(ctx context.Context, text string) context.Context {
	sc := Parse(text)
	if !sc.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// Parse returns the span context of text; it is not valid if text is empty or cannot be read. A tracestate that cannot be read is left out.
func Parse(text string) trace.SpanContext {
	cfg, ok := parseParent(text)
	if !ok {
		return trace.SpanContext{}
	}
	if _, state := Split(text); state != "" && len(state) <= MaxStateBytes {
		if parsed, err := trace.ParseTraceState(state); err == nil {
			cfg.TraceState = parsed
		}
	}
	return trace.NewSpanContext(cfg)
}

// parseParent reads the traceparent at the beginning of text. Later versions may append fields to it.
func parseParent(text string) (cfg trace.SpanContextConfig, ok bool) {
	if len(text) < parentBytes || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" {
		return cfg, false
	}
	if len(text) > parentBytes && text[parentBytes] != ' ' && (text[:2] == "00" || text[parentBytes] != '-') {
		return cfg, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{version[:], text[:2]}, {cfg.TraceID[:], text[3:35]}, {cfg.SpanID[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil {
			return cfg, false
		}
	}
	cfg.TraceFlags, cfg.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	return cfg, true
}

// Clean returns text if it is a trace context that a row can hold, and otherwise its traceparent, or nothing.
func Clean(text string) string {
	if text == "" {
		return ""
	}
	if _, ok := parseParent(text); !ok {
		return ""
	}
	if len(text) > MaxBytes || strings.ContainsFunc(text, notPrintable) {
		return text[:parentBytes]
	}
	return text
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }
