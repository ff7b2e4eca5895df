package tracing_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/tracing"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// contextOf returns a context with a span of the trace state.
func contextOf(t testing.TB, state string) context.Context {
	t.Helper()
	parsed, err := trace.ParseTraceState(state)
	if err != nil {
		t.Fatal(err)
	}
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}, TraceFlags: trace.FlagsSampled, TraceState: parsed,
	}))
}

func TestOf_IsReadByParse(t *testing.T) {
	if got := tracing.Of(t.Context()); got != "" {
		t.Errorf("without a span: %q", got)
	}
	const parent = "00-00000000000000000000000000000001-0000000000000002-01"
	for state, want := range map[string]string{
		"": parent, "a=1,b=2": parent + " a=1,b=2",
		// Over the bound: the trace goes on without it.
		"k=" + strings.Repeat("v", 200) + ",l=" + strings.Repeat("v", 200) + ",m=" + strings.Repeat("v", 200): parent,
	} {
		ctx := contextOf(t, state)
		got := tracing.Of(ctx)
		if got != want || len(got) > tracing.MaxBytes {
			t.Errorf("tracestate %q: %q; want %q", state, got, want)
		}
		sc, from := tracing.Parse(got), trace.SpanContextFromContext(ctx)
		if sc.TraceID() != from.TraceID() || sc.SpanID() != from.SpanID() || !sc.IsSampled() || !sc.IsRemote() {
			t.Errorf("parsed %+v of %q", sc, got)
		}
		if _, state := tracing.Split(want); sc.TraceState().String() != state {
			t.Errorf("tracestate %q; want %q", sc.TraceState(), state)
		}
	}
}

func TestParse_TextOfOldEntriesAndOfNoTrace(t *testing.T) {
	for text, valid := range map[string]bool{
		sampled: true, unsampled: true, sampled + " vendor=1": true, sampled + " not a tracestate": true,
		"01" + sampled[2:] + "-later": true,
		"":                            false, "t": false, sampled[:54]: false, sampled + "x": false, "ff" + sampled[2:]: false,
		strings.Repeat("x", 55): false, strings.Repeat("0", 55): false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
	} {
		if got := tracing.Parse(text).IsValid(); got != valid {
			t.Errorf("Parse(%q) is valid: %t; want %t", text, got, valid)
		}
		if ctx := tracing.Context(t.Context(), text); (ctx != t.Context()) != valid {
			t.Errorf("Context(%q) changed the context: %t", text, !valid)
		}
	}
}

func TestSampled_IsTheFlagOfParse(t *testing.T) {
	for _, digit := range "0123456789abcdef" {
		text := sampled[:54] + string(digit)
		if got, want := tracing.Sampled(text), tracing.Parse(text).IsSampled(); got != want {
			t.Errorf("flags 0%c: %t; want %t", digit, got, want)
		}
	}
	if tracing.Sampled("") || tracing.Sampled(sampled[:54]) {
		t.Error("text without flags is sampled")
	}
}

func TestClean_FitsIntoARow(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "garbage": "", sampled: sampled, sampled + " a=1": sampled + " a=1",
		sampled + " " + strings.Repeat("v", tracing.MaxStateBytes):   sampled + " " + strings.Repeat("v", tracing.MaxStateBytes),
		sampled + " " + strings.Repeat("v", tracing.MaxStateBytes+1): sampled,
		sampled + " a=\xff": sampled, sampled + " ä=1": sampled,
	} {
		if got := tracing.Clean(text); got != want {
			t.Errorf("Clean(%q) = %q; want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{sampled, unsampled, sampled + " a=1", "garbage", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sc := tracing.Parse(text)
		if !sc.IsValid() {
			return
		}
		if tracing.Sampled(text) != sc.IsSampled() {
			t.Errorf("Sampled(%q) and Parse disagree", text)
		}
		again := tracing.Parse(tracing.Of(trace.ContextWithSpanContext(t.Context(), sc)))
		if again.TraceID() != sc.TraceID() || again.SpanID() != sc.SpanID() || again.IsSampled() != sc.IsSampled() {
			t.Errorf("%q became %+v", text, again)
		}
		if clean := tracing.Clean(text); len(clean) > tracing.MaxBytes || tracing.Parse(clean).SpanID() != sc.SpanID() {
			t.Errorf("Clean(%q) = %q", text, clean)
		}
	})
}

// BenchmarkOf is what a reservation pays for its trace: nothing without one.
func BenchmarkOf(b *testing.B) {
	for name, ctx := range map[string]context.Context{"no trace": b.Context(), "trace": contextOf(b, "")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = tracing.Of(ctx)
			}
		})
	}
}
