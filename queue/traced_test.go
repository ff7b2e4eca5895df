package queue_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/tracing"
)

// preparedTopic is a topic that carries the trace context, as every adapter does.
type preparedTopic struct{ fakeTopic }

func (p *preparedTopic) Producer() (queue.Producer, error) { return p, nil }

func (p *preparedTopic) Consumer(string, string) (queue.Consumer, error) { return p, nil }

func (p *preparedTopic) Send(ctx context.Context, topic string, messages ...queue.Outgoing) error {
	prepared, err := queue.Prepare(ctx, messages)
	if err != nil {
		return err
	}
	return p.fakeTopic.Send(ctx, topic, prepared...)
}

// tracedEnds returns both ends of a traced topic, and the spans.
func tracedEnds(t *testing.T) (queue.Producer, queue.Consumer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(tracenoop.NewTracerProvider()) })
	b := queue.Traced(&preparedTopic{})
	p, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Consumer("orders", "mail")
	if err != nil {
		t.Fatal(err)
	}
	return p, c, spans
}

func TestTraced_ReceiveAndProcessLinkToSend(t *testing.T) {
	p, c, spans := tracedEnds(t)
	ctx := tracing.Context(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := p.Send(ctx, "orders", queue.Outgoing{Body: []byte("x")}, queue.Outgoing{Body: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	messages, err := c.Receive(t.Context(), 8, time.Minute)
	if err != nil || len(messages) != 2 {
		t.Fatalf("received %d, %v", len(messages), err)
	}
	_, span := queue.Process(t.Context(), messages)
	span.End()
	got := spans.GetSpans()
	var names []string
	for _, s := range got {
		names = append(names, s.Name+" "+s.SpanKind.String())
	}
	if want := "send orders producer; receive orders client; process orders consumer"; strings.Join(names, "; ") != want {
		t.Fatalf("spans %q; want %q", strings.Join(names, "; "), want)
	}
	if got[0].Parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("the parent of the sending is %s", got[0].Parent.SpanID())
	}
	for _, s := range got[1:] {
		if len(s.Links) != 2 || s.Links[0].SpanContext.SpanID() != got[0].SpanContext.SpanID() {
			t.Errorf("%s links to %+v; want the sending of each message", s.Name, s.Links)
		}
	}
}

// TestTraced_NoSpansOfUnsampledMessages: their trace goes on all the same, so that it is in dead letters and log lines.
func TestTraced_NoSpansOfUnsampledMessages(t *testing.T) {
	p, c, spans := tracedEnds(t)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, ctx := range []context.Context{t.Context(), tracing.Context(t.Context(), parent)} {
		if err := p.Send(ctx, "orders", queue.Outgoing{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	messages, err := c.Receive(t.Context(), 8, time.Minute)
	if err != nil || len(messages) != 2 || messages[1].Headers["traceparent"] != parent {
		t.Fatalf("received %+v, %v", messages, err)
	}
	ctx, span := queue.Process(t.Context(), messages)
	span.End()
	if trace.SpanContextFromContext(ctx).IsValid() || len(spans.GetSpans()) != 0 {
		t.Errorf("spans %+v", spans.GetSpans())
	}
}

// TestPrepare_LongTracestate: one that would not fit into the headers must not keep a message from being sent.
func TestPrepare_LongTracestate(t *testing.T) {
	members := make([]string, 32)
	for i := range members {
		members[i] = "k" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + "=" + strings.Repeat("v", 256)
	}
	state, err := trace.ParseTraceState(strings.Join(members, ","))
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceState: state,
	}))
	got, err := queue.Prepare(ctx, []queue.Outgoing{{Body: []byte("x")}})
	if err != nil || got[0].Headers["traceparent"] == "" || got[0].Headers["tracestate"] != "" {
		t.Errorf("headers %v, %v; want the traceparent alone", got, err)
	}
}
