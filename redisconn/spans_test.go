package redisconn_test

import (
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/tracing"
)

// TestConn_SpansOfSampledTraces: each command and pipeline of a sampled trace has a span without arguments; those of another trace, of none, and of
// a script with a span of its own have none.
func TestConn_SpansOfSampledTraces(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.AlwaysSample())))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	conn, err := redisconn.Connect(redisconn.Config{Addr: miniredis.RunT(t).Addr(), Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := conn.Client()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
	sampled, unsampled := tracing.Context(t.Context(), parent+"1"), tracing.Context(t.Context(), parent+"0")
	get := func() rueidis.Completed { return c.B().Get().Key("secret").Build() }
	for _, quiet := range []error{
		c.Do(t.Context(), get()).Error(), c.Do(unsampled, get()).Error(), c.Do(tracing.WithinScript(sampled), get()).Error(),
		c.DoMulti(unsampled, get(), get())[0].Error(),
	} {
		if !rueidis.IsRedisNil(quiet) {
			t.Fatal(quiet)
		}
	}
	if got := spans.GetSpans(); len(got) != 0 {
		t.Errorf("spans of traces that are not sampled: %+v", got)
	}
	c.Do(sampled, get())
	c.DoMulti(sampled, get(), get())
	c.DoMulti(sampled, get(), c.B().Ping().Build())
	c.Do(sampled, c.B().Arbitrary("NO.SUCH.COMMAND").Args("secret").Build())
	c.Do(sampled, c.B().Evalsha().Sha1("0123456789012345678901234567890123456789").Numkeys(0).Build())
	var names []string
	for _, s := range spans.GetSpans() {
		names = append(names, s.Name)
		// A script that is not loaded yet is no failure: it is sent in full then.
		if failed := s.Status.Code == codes.Error; failed != (s.Name == "NO.SUCH.COMMAND") {
			t.Errorf("%s has failed: %t", s.Name, failed)
		}
		if s.Parent.SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("the parent of %s is %s", s.Name, s.Parent.SpanID())
		}
		for _, kv := range s.Attributes {
			if kv.Value.String() == "secret" {
				t.Errorf("%s has an argument: %v", s.Name, kv)
			}
		}
	}
	if want := []string{"GET", "PIPELINE GET", "PIPELINE", "NO.SUCH.COMMAND", "EVALSHA"}; !slices.Equal(names, want) {
		t.Errorf("spans %v; want %v", names, want)
	}
}

// BenchmarkConn_Span is what a command pays for its span.
func BenchmarkConn_Span(b *testing.B) {
	conn, err := redisconn.Connect(redisconn.Config{Addr: miniredis.RunT(b).Addr(), Embedded: true})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	c := conn.Client()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	ctx := tracing.Context(b.Context(), parent)
	b.ReportAllocs()
	for b.Loop() {
		c.Do(ctx, c.B().Get().Key("k").Build())
	}
}
