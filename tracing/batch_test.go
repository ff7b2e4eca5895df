package tracing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/tracing"
)

const scope = "test"

// record makes the default sampler and an exporter in memory the process's until the test ends.
func record(t testing.TB) *tracetest.InMemoryExporter {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(out), sdk.WithSampler(telemetry.NewSampler())))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	return out
}

// traceOf returns the trace context of the nth order, with the flags.
func traceOf(n int, flags string) string { return fmt.Sprintf("00-%032x-%016x-%s", n+1, n+1, flags) }

func attributeOf(s tracetest.SpanStub, key attribute.Key) (int64, bool) {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.AsInt64(), true
		}
	}
	return 0, false
}

func TestStartBatch_LinksToAtMost128Orders(t *testing.T) {
	spans := record(t)
	var links tracing.Links
	const orders, more = tracing.MaxLinks + 72, 300
	for n := range orders {
		links.Add(traceOf(n, "01"))
		links.Add(traceOf(n, "01")) // The order's second entry.
	}
	for n := range more {
		links.Add(traceOf(orders+n, "00")) // They are stored nowhere.
	}
	links.Add("")
	links.Add("garbage that is as long as a traceparent is, ending in a 1")
	_, span := tracing.StartBatch(t.Context(), scope, "write batch", orders+more, &links)
	span.End()
	got := spans.GetSpans()
	if len(got) != 1 || len(got[0].Links) != tracing.MaxLinks || got[0].DroppedLinks != 0 {
		t.Fatalf("got %d spans: %+v", len(got), got)
	}
	if n, _ := attributeOf(got[0], tracing.LinksOmittedKey); n != orders-tracing.MaxLinks {
		t.Errorf("%d links are counted as omitted; want %d", n, orders-tracing.MaxLinks)
	}
	if n, _ := attributeOf(got[0], tracing.BatchSizeKey); n != orders+more {
		t.Errorf("the size is %d", n)
	}
}

// TestStartBatch_SampledWithItsOrders: a batch is recorded if one of its orders is, and otherwise as often as any trace, once in ten.
func TestStartBatch_SampledWithItsOrders(t *testing.T) {
	const batches = 500
	for name, c := range map[string]struct {
		traces   []string
		min, max int
	}{
		"one of three orders is sampled": {[]string{traceOf(1, "00"), traceOf(2, "01"), ""}, batches, batches},
		"no order is sampled":            {[]string{traceOf(1, "00"), traceOf(2, "00")}, 1, batches / 4},
		"no order has a trace":           {[]string{"", ""}, 1, batches / 4},
	} {
		t.Run(name, func(t *testing.T) {
			spans := record(t)
			for range batches {
				var links tracing.Links
				for _, text := range c.traces {
					links.Add(text)
				}
				_, span := tracing.StartBatch(t.Context(), scope, "flush batch", len(c.traces), &links)
				span.End()
			}
			if n := len(spans.GetSpans()); n < c.min || n > c.max {
				t.Errorf("%d of %d batches are recorded; want %d to %d", n, batches, c.min, c.max)
			}
		})
	}
}

func TestRecordSteps_ChildOfTheRequestLinkedToTheBatch(t *testing.T) {
	spans := record(t)
	var links tracing.Links
	links.Add(traceOf(7, "01"))
	ctx, batch := tracing.StartBatch(t.Context(), scope, "write batch", 3, &links)
	began := time.Now().Add(-time.Second)
	tracing.RecordSteps(ctx, scope, "write", began, []tracing.Step{
		{OrderID: "A", To: order.Paid, Trace: traceOf(7, "01")},
		{OrderID: "B", Trace: traceOf(8, "00")},
		{OrderID: "C"},
		{OrderID: "D", Trace: strings.Repeat("1", 80)},
	})
	batch.End()
	got := spans.GetSpans()
	if len(got) != 2 {
		t.Fatalf("got %d spans; want the step of the sampled order and the batch", len(got))
	}
	step, parent := got[0], tracing.Parse(traceOf(7, "01"))
	if step.Name != "write" || step.Parent.SpanID() != parent.SpanID() || step.SpanContext.TraceID() != parent.TraceID() {
		t.Errorf("the step is %+v", step)
	}
	if len(step.Links) != 1 || step.Links[0].SpanContext.SpanID() != batch.SpanContext().SpanID() || !step.StartTime.Equal(began) {
		t.Errorf("the step began at %s and links to %+v", step.StartTime, step.Links)
	}
}

func TestEnd_RecordsTheClassAndNotTheTextOfAnError(t *testing.T) {
	spans := record(t)
	_, span := otel.Tracer(scope).Start(tracing.Context(t.Context(), sampled), "charge")
	tracing.End(span, fmt.Errorf("order of ada@example.com: %w", order.ErrInvalid))
	got := spans.GetSpans()
	if len(got) != 1 || len(got[0].Events) != 0 || got[0].Status.Description != "" {
		t.Fatalf("got %+v", got)
	}
	if text := fmt.Sprint(got[0].Attributes); !strings.Contains(text, "invalid") || strings.Contains(text, "ada") {
		t.Errorf("attributes %s", text)
	}
}

func TestRecord_UnknownError(t *testing.T) {
	spans := record(t)
	_, span := otel.Tracer(scope).Start(tracing.Context(t.Context(), sampled), "charge")
	tracing.End(span, errors.New("something"))
	if got := fmt.Sprint(spans.GetSpans()[0].Attributes); !strings.Contains(got, "_OTHER") {
		t.Errorf("attributes %s", got)
	}
}

// BenchmarkStartBatch is what a batch of 400 orders pays for its span, by their traces. Without a provider it pays for looking at their flags.
func BenchmarkStartBatch(b *testing.B) {
	const orders = 400
	for name, flags := range map[string]string{"no trace": "", "unsampled": "00", "sampled": "01"} {
		steps := make([]tracing.Step, orders)
		for n := range steps {
			if flags != "" {
				steps[n].Trace = traceOf(n, flags)
			}
		}
		for provider, p := range map[string]trace.TracerProvider{
			"none": noop.NewTracerProvider(),
			"sdk":  sdk.NewTracerProvider(sdk.WithSampler(telemetry.NewSampler())),
		} {
			b.Run(name+"/"+provider, func(b *testing.B) {
				otel.SetTracerProvider(p)
				b.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
				b.ReportAllocs()
				for b.Loop() {
					var links tracing.Links
					for i := range steps {
						links.Add(steps[i].Trace)
					}
					ctx, span := tracing.StartBatch(b.Context(), scope, "write batch", orders, &links)
					if links.Any() {
						tracing.RecordSteps(ctx, scope, "write", time.Now(), steps)
					}
					span.End()
				}
			})
		}
	}
}
