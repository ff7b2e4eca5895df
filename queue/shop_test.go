package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/spillway/spillway/queue"
)

// fakeTopic is a broker, a producer and a consumer of one topic, which delivers each message once.
type fakeTopic struct {
	fakePort
	sent, acked []queue.Message
	ackErr      error
}

func (f *fakeTopic) Producer() (queue.Producer, error)               { return f, nil }
func (f *fakeTopic) Consumer(string, string) (queue.Consumer, error) { return f, nil }

func (f *fakeTopic) Send(_ context.Context, _ string, messages ...queue.Outgoing) error {
	for _, m := range messages {
		f.sent = append(f.sent, queue.Message{ID: fmt.Sprint(len(f.sent)), Body: m.Body, Headers: m.Headers})
	}
	return nil
}

func (f *fakeTopic) Receive(_ context.Context, max int, _ time.Duration) ([]queue.Message, error) {
	n := min(max, len(f.sent))
	out := f.sent[:n]
	f.sent = f.sent[n:]
	return out, nil
}

func (f *fakeTopic) Ack(_ context.Context, messages ...queue.Message) error {
	if f.ackErr == nil {
		f.acked = append(f.acked, messages...)
	}
	return f.ackErr
}

// shopEnds returns a producer and a consumer of the shop on the topic.
func shopEnds(t *testing.T, b queue.Broker, shop string, log *slog.Logger) (queue.Producer, queue.Consumer) {
	t.Helper()
	b, err1 := queue.ForShop(b, shop, log)
	p, err2 := b.Producer()
	c, err3 := b.Consumer("topic", "mail")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return p, c
}

func bodies(messages []queue.Message) string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = string(m.Body)
	}
	return strings.Join(out, " ")
}

// TestForShop_TwoShopsOnOneTopic checks that each shop receives its own messages only and acknowledges the others.
func TestForShop_TwoShopsOnOneTopic(t *testing.T) {
	counted := countForeign(t)
	topic := &fakeTopic{}
	quiet := slog.New(slog.DiscardHandler)
	sendA, receiveA := shopEnds(t, topic, "A", quiet)
	sendB, _ := shopEnds(t, topic, "B", quiet)
	headers := map[string]string{"kind": "test"}
	err := errors.Join(sendA.Send(t.Context(), "topic", queue.Outgoing{Body: []byte("a1"), Headers: headers}, queue.Outgoing{Body: []byte("a2")}),
		sendB.Send(t.Context(), "topic", queue.Outgoing{Body: []byte("b1")}), topic.Send(t.Context(), "topic", queue.Outgoing{Body: []byte("nobody's")}))
	if err != nil {
		t.Fatal(err)
	}
	if len(headers) != 1 {
		t.Errorf("Send changed its caller's headers: %v", headers)
	}
	got, err := receiveA.Receive(t.Context(), 10, time.Minute)
	if err != nil || bodies(got) != "a1 a2" || got[0].Headers["kind"] != "test" {
		t.Errorf("shop A received %q, %v; want its own two with their headers", bodies(got), err)
	}
	if bodies(topic.acked) != "b1 nobody's" || counted.n != 2 || counted.group != "mail" {
		t.Errorf("acknowledged %q, counted %d of group %q; want the foreign ones", bodies(topic.acked), counted.n, counted.group)
	}
}

// TestForShop_AckOfForeignMessagesFails checks that own messages are delivered all the same; without any the caller
// gets the error.
func TestForShop_AckOfForeignMessagesFails(t *testing.T) {
	t.Parallel()
	topic := &fakeTopic{ackErr: errOpen}
	quiet := slog.New(slog.DiscardHandler)
	sendA, receiveA := shopEnds(t, topic, "A", quiet)
	sendB, _ := shopEnds(t, topic, "B", quiet)
	for _, send := range []queue.Producer{sendA, sendB, sendB} {
		if err := send.Send(t.Context(), "topic", queue.Outgoing{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := receiveA.Receive(t.Context(), 2, time.Minute); err != nil || len(got) != 1 {
		t.Errorf("received %d messages, %v; want the own one", len(got), err)
	}
	if got, err := receiveA.Receive(t.Context(), 2, time.Minute); !errors.Is(err, errOpen) || len(got) != 0 {
		t.Errorf("received %d messages, %v; want %v", len(got), err, errOpen)
	}
}

// TestForShop_ForeignMessagesAreLoggedOnceAMinute checks the lines and the number of messages in them.
func TestForShop_ForeignMessagesAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		topic, log := &fakeTopic{}, &bytes.Buffer{}
		_, receiveA := shopEnds(t, topic, "A", slog.New(slog.NewTextHandler(log, nil)))
		for i := range 130 { // One message of B a second, and one of a made-up shop.
			topic.sent = append(topic.sent,
				queue.Message{Headers: map[string]string{queue.ShopHeader: "B"}},
				queue.Message{Headers: map[string]string{queue.ShopHeader: fmt.Sprint("made-up-", i)}})
			if _, err := receiveA.Receive(t.Context(), 10, time.Minute); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			if before, n, ok := strings.Cut(line, " messages="); ok && strings.Contains(before, "foreign_shop=B ") {
				lines = append(lines, n)
			}
		}
		if got := strings.Join(lines, ""); got != "1\n60\n60\n" {
			t.Errorf("the lines about shop B are\n%s", got)
		}
		if n := strings.Count(log.String(), "\n"); n > 3+15*2+3 {
			t.Errorf("%d lines in two minutes", n)
		}
	})
}

// countForeign returns the value of the counter spillway.queue.foreign_messages.
func countForeign(t *testing.T) *fakeCounter {
	t.Helper()
	c := &fakeCounter{}
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(fakeMeterProvider{counter: c})
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	return c
}

type fakeMeterProvider struct {
	noop.MeterProvider
	counter *fakeCounter
}

func (p fakeMeterProvider) Meter(string, ...metric.MeterOption) metric.Meter {
	return fakeMeter{counter: p.counter}
}

type fakeMeter struct {
	noop.Meter
	counter *fakeCounter
}

func (m fakeMeter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name != "spillway.queue.foreign_messages" {
		return noop.Int64Counter{}, nil
	}
	return m.counter, nil
}

type fakeCounter struct {
	noop.Int64Counter
	n     int64
	group string
}

func (c *fakeCounter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	attributes := metric.NewAddConfig(options).Attributes()
	group, _ := attributes.Value("group")
	c.n, c.group = c.n+n, group.AsString()
}
