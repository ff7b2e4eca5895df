package queue

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/tracing"
)

// The operations of messaging spans; the topic follows.
const (
	spanSend    = "send"
	spanReceive = "receive"
	spanProcess = "process"
)

// maxMessageLinks bounds the messages that one span links to.
const maxMessageLinks = tracing.MaxLinks

// Traced returns a Broker with a span for each Send of a sampled trace, which is the parent in the messages' headers, and for each Receive of
// messages from such spans. A Receive of other messages, or of none, has no span.
func Traced(b Broker) Broker { return &tracedBroker{Broker: b} }

type tracedBroker struct{ Broker }

// Producer implements Broker.
func (b *tracedBroker) Producer() (Producer, error) {
	p, err := b.Broker.Producer()
	if err != nil {
		return nil, err
	}
	return tracedProducer{Producer: p, system: systemOf(b.Features())}, nil
}

// Consumer implements Broker.
func (b *tracedBroker) Consumer(topic, group string) (Consumer, error) {
	c, err := b.Broker.Consumer(topic, group)
	if err != nil {
		return nil, err
	}
	return tracedConsumer{Consumer: c, origin: &origin{topic: topic, attributes: []attribute.KeyValue{
		systemOf(b.Features()), semconv.MessagingDestinationName(topic), semconv.MessagingConsumerGroupName(group),
	}}}, nil
}

// systemOf is the attribute of the kind of broker.
func systemOf(f Features) attribute.KeyValue { return semconv.MessagingSystemKey.String(f.Name) }

type tracedProducer struct {
	Producer
	system attribute.KeyValue
}

// Send implements Producer.
func (p tracedProducer) Send(ctx context.Context, topic string, messages ...Outgoing) error {
	if !tracing.On(ctx) {
		return p.Producer.Send(ctx, topic, messages...)
	}
	ctx, span := otel.Tracer(scope).Start(ctx, spanSend+" "+topic, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		p.system, semconv.MessagingDestinationName(topic), semconv.MessagingOperationName(spanSend), semconv.MessagingOperationTypeSend,
		semconv.MessagingBatchMessageCount(len(messages))))
	defer span.End()
	err := p.Producer.Send(ctx, topic, messages...)
	tracing.Record(span, err)
	return err
}

// origin is the topic and the group of received messages.
type origin struct {
	topic string
	// attributes name the system, the topic and the group.
	attributes []attribute.KeyValue
}

type tracedConsumer struct {
	Consumer
	origin *origin
}

// Receive implements Consumer. Its span begins with the call, so that it shows how long a message was waited for.
func (c tracedConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error) {
	began := time.Now()
	messages, err := c.Consumer.Receive(ctx, max, lease)
	for i := range messages {
		messages[i].origin = c.origin
	}
	if links := linksTo(messages); len(links) > 0 {
		_, span := c.origin.start(ctx, spanReceive, len(messages), links, trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(semconv.MessagingOperationTypeReceive))
		span.End()
	}
	return messages, err
}

// Process returns a context with a span for the handling of received messages, which links to the spans of their Sends. Without such a span, or
// if the broker is not traced, it returns ctx, and a span that records nothing. The caller ends the span.
func Process(ctx context.Context, messages []Message) (context.Context, trace.Span) {
	links := linksTo(messages)
	if len(links) == 0 || messages[0].origin == nil {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return messages[0].origin.start(ctx, spanProcess, len(messages), links, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(semconv.MessagingOperationTypeProcess))
}

func (o *origin) start(
	ctx context.Context, operation string, messages int, links []trace.Link, opts ...trace.SpanStartOption,
) (context.Context, trace.Span) {
	opts = append(opts, trace.WithLinks(links...), trace.WithAttributes(o.attributes...),
		trace.WithAttributes(semconv.MessagingOperationName(operation), semconv.MessagingBatchMessageCount(messages)))
	return otel.Tracer(scope).Start(ctx, operation+" "+o.topic, opts...) //nolint:spancheck // The caller ends it.
}

// linksTo returns links to the sampled spans that sent the messages, at most maxMessageLinks.
func linksTo(messages []Message) []trace.Link {
	var links []trace.Link
	for _, m := range messages {
		if parent := m.Headers[traceHeader]; tracing.Sampled(parent) && len(links) < maxMessageLinks {
			if sc := tracing.Parse(tracing.Join(parent, m.Headers[stateHeader])); sc.IsValid() {
				links = append(links, trace.Link{SpanContext: sc})
			}
		}
	}
	return links
}
