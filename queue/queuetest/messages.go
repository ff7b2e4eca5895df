package queuetest

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/queue"
)

func testRoundTrip(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	sent := queue.Outgoing{Body: every, Headers: map[string]string{"kind": "test", "empty-not": "x", "spaces": "a b=c; d"}}
	if err := f.producer(t).Send(t.Context(), f.topic, sent); err != nil {
		t.Fatalf("send: %v", err)
	}
	got := receive(t, c, 1, longLease, healthyTimeout)[0]
	if !bytes.Equal(got.Body, every) {
		t.Errorf("body = %x", got.Body)
	}
	if got.ID == "" || got.Attempt != 1 {
		t.Errorf("ID = %q, attempt = %d; want some id and attempt 1", got.ID, got.Attempt)
	}
	if err := got.CheckBody(); err != nil {
		t.Errorf("the body as it was sent: %v", err)
	}
	if err := (queue.Message{Body: every[1:], Headers: got.Headers}).CheckBody(); !errors.Is(err, queue.ErrCorrupt) {
		t.Errorf("another body: %v, want %v", err, queue.ErrCorrupt)
	}
	for k, v := range sent.Headers {
		if got.Headers[k] != v {
			t.Errorf("header %s = %q, want %q", k, got.Headers[k], v)
		}
	}
	ack(t, c, got)
	ack(t, c)
	wantNothing(t, c, h.Lease, time.Second)
}

func testTrace(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5, 6}, TraceFlags: trace.FlagsSampled, TraceState: state,
	})
	headers := map[string]string{"kind": "test"}
	err = f.producer(t).Send(trace.ContextWithSpanContext(t.Context(), parent), f.topic, queue.Outgoing{Body: []byte("x"), Headers: headers})
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	if len(headers) != 1 {
		t.Errorf("Send changed its caller's headers: %v", headers)
	}
	m := receive(t, f.consumer(t, 0), 1, longLease, healthyTimeout)[0]
	got := trace.SpanContextFromContext(m.Context(t.Context()))
	if got.TraceID() != parent.TraceID() || got.SpanID() != parent.SpanID() || !got.IsSampled() || !got.IsRemote() || got.TraceState().String() != "vendor=1" {
		t.Errorf("trace context = %+v, want %+v as a remote one", got, parent)
	}
	if m.Headers["kind"] != "test" {
		t.Errorf("headers = %v, want the sender's own beside the trace", m.Headers)
	}
}

func testRefused(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	for name, bad := range map[string]struct {
		message queue.Outgoing
		want    error
	}{
		"a body over the bound":    {queue.Outgoing{Body: make([]byte, queue.MaxBodyBytes+1)}, queue.ErrTooLarge},
		"headers over the bound":   {queue.Outgoing{Body: []byte("x"), Headers: map[string]string{"k": strings.Repeat("v", queue.MaxHeaderBytes)}}, queue.ErrTooLarge},
		"an empty body":            {queue.Outgoing{}, queue.ErrInvalid},
		"a header name with space": {queue.Outgoing{Body: []byte("x"), Headers: map[string]string{"a b": "c"}}, queue.ErrInvalid},
		"a header value with \\n":  {queue.Outgoing{Body: []byte("x"), Headers: map[string]string{"a": "b\nc"}}, queue.ErrInvalid},
	} {
		// The valid message beside the invalid one must not be sent either.
		err := p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("good")}, bad.message)
		if !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", name, err, bad.want)
		}
	}
	ft := f.broker.Features()
	for _, lease := range []time.Duration{0, ft.MinLease - 1, ft.MaxLease + 1} {
		if _, err := c.Receive(t.Context(), 1, lease); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("a lease of %v: %v, want %v", lease, err, queue.ErrInvalid)
		}
	}
	if _, err := c.Receive(t.Context(), 0, longLease); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("no messages asked for: %v, want %v", err, queue.ErrInvalid)
	}
	if _, err := f.broker.Consumer(f.topic, "no such/name"); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("a group with a slash: %v, want %v", err, queue.ErrInvalid)
	}
	wantNothing(t, c, h.Lease, time.Second)
}

// testShops checks that a shop receives its own messages only, and that foreign messages, once acknowledged, are not
// redelivered.
func testShops(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	plain := f.consumer(t, 0)
	ours, err1 := queue.ForShop(f.broker, "ours", slog.New(slog.DiscardHandler))
	theirs, err2 := queue.ForShop(f.broker, "theirs", slog.New(slog.DiscardHandler))
	c, err3 := ours.Consumer(f.topic, f.groups[0])
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for i, b := range []queue.Broker{ours, theirs, f.broker, ours} {
		p, err := b.Producer()
		if err == nil {
			err = p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte{'a' + byte(i)}})
		}
		if err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	var got []queue.Message
	for len(got) < 2 { // Each is acknowledged at once: the lease may end before the second one arrives.
		one := receive(t, c, 1, h.Lease, healthyTimeout)
		ack(t, c, one...)
		got = append(got, one...)
	}
	wantBodies(t, got, "a", "d")
	wantNothing(t, c, h.Lease, 2*h.Lease) // It acknowledges the remaining foreign ones.
	wantNothing(t, plain, h.Lease, 2*h.Lease)
}

func testLargest(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	large := bytes.Repeat([]byte("spillway"), queue.MaxBodyBytes/8)
	// Two, so that an adapter that batches messages notices that they do not fit.
	if err := f.producer(t).Send(t.Context(), f.topic, queue.Outgoing{Body: large}, queue.Outgoing{Body: large}); err != nil {
		t.Fatalf("send: %v", err)
	}
	got := receive(t, c, 2, longLease, healthyTimeout)
	for _, m := range got {
		if !bytes.Equal(m.Body, large) {
			t.Errorf("a body of %d bytes came back with %d, or changed", len(large), len(m.Body))
		}
	}
	ack(t, c, got...)
}

func testTwice(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	f.send(t, "once more", "once more")
	f.send(t, "once more")
	got := receive(t, c, 3, longLease, healthyTimeout)
	wantBodies(t, got, "once more", "once more", "once more")
	if got[0].ID == got[1].ID || got[1].ID == got[2].ID || got[0].ID == got[2].ID {
		t.Errorf("ids %s, %s, %s: three messages need three ids", got[0].ID, got[1].ID, got[2].ID)
	}
	ack(t, c, got...)
}
