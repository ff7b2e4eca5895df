package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// again is how long to wait for a message whose lease runs out now.
func (f *fixture) again() time.Duration {
	ft := f.broker.Features()
	return f.h.Lease + ft.RedeliveryDelayMax + ft.Await + slack
}

// nextLease is what to ask for when a message received for Harness.Lease should come again.
func (f *fixture) nextLease() time.Duration {
	if f.broker.Features().LeaseOfNext {
		return f.h.Lease
	}
	return longLease
}

func testLeaseEnds(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	f.send(t, "lease me")
	// The lease begins when the broker hands the message out: after Receive is called and, on a busy machine, long before it returns.
	start := time.Now()
	first := receive(t, c, 1, h.Lease, patience)[0]
	second := receive(t, f.consumer(t, 0), 1, f.nextLease(), f.again())[0]
	if early := h.Lease*3/4 - time.Since(start); early > 0 {
		t.Errorf("the message came again %v too early", early)
	}
	if second.ID != first.ID || second.Attempt <= first.Attempt || string(second.Body) != "lease me" {
		t.Errorf("again: id %s attempt %d body %q; want id %s and a later attempt", second.ID, second.Attempt, second.Body, first.ID)
	}
	ack(t, c, second)
	nothing(t, c, h.Lease, h.Lease+f.broker.Features().RedeliveryDelayMax)
	f.testLateAck(t, c)
}

// testLateAck acknowledges after the lease ran out, which the adapters answer as they declare.
func (f *fixture) testLateAck(t *testing.T, c queue.Consumer) {
	t.Helper()
	f.send(t, "late")
	late := receive(t, c, 1, f.h.Lease, patience)[0]
	wait(t, f.h.Lease+time.Second/4)
	ack(t, c, late)
	if f.broker.Features().AckAfterLease {
		nothing(t, c, f.h.Lease, f.h.Lease+f.broker.Features().RedeliveryDelayMax)
		return
	}
	ack(t, c, receive(t, c, 1, f.nextLease(), f.again())...)
}

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func testRelease(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	f.send(t, numbered(3)...)
	first := receive(t, c, 3, longLease, patience)
	if err := c.Release(t.Context(), first...); err != nil {
		t.Fatalf("release: %v", err)
	}
	again := receive(t, c, 3, longLease, f.again())
	wantBodies(t, again, numbered(3)...)
	for _, m := range again {
		if m.Attempt != 2 {
			t.Errorf("attempt = %d after a release, want 2", m.Attempt)
		}
	}
	ack(t, c, again...)
}

func testConsumerDeath(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	dying := f.consumer(t, 0)
	f.send(t, numbered(5)...)
	receive(t, dying, 5, h.Lease, patience)
	closeWithin(t, "consumer", dying)
	c := f.consumer(t, 0)
	got := receive(t, c, 5, f.nextLease(), f.again())
	wantBodies(t, got, numbered(5)...)
	ack(t, c, got...)
}

// testCancel ends the context of a waiting Receive, and sends in that very moment: the message must not be caught in
// the lease of a caller that is gone.
func testCancel(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	// The first Receive may have to connect.
	nothing(t, c, longLease, 100*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	for ctx.Err() == nil {
		if _, err := c.Receive(ctx, 1, longLease); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("receive: %v, want the context's error", err)
		}
	}
	if took := time.Since(start); took > promptly {
		t.Errorf("Receive returned %v after its context ended", took)
	}
	f.send(t, "just then")
	got := receive(t, f.consumer(t, 0), 1, longLease, f.again())
	if string(got[0].Body) != "just then" {
		t.Errorf("body = %q", got[0].Body)
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	if err := f.producer(t).Send(cancelled, f.topic, queue.Outgoing{Body: []byte("x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("send with a cancelled context: %v, want %v", err, context.Canceled)
	}
}

func testClose(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	f.send(t, "x")
	m := receive(t, c, 1, longLease, patience)
	for range 2 {
		closeWithin(t, "producer", p)
		closeWithin(t, "consumer", c)
		closeWithin(t, "broker", f.broker)
	}
	_, receiveErr := c.Receive(t.Context(), 1, longLease)
	_, producerErr := f.broker.Producer()
	_, consumerErr := f.broker.Consumer(f.topic, f.groups[0])
	for name, err := range map[string]error{
		"Send":     p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("x")}),
		"Receive":  receiveErr,
		"Ack":      c.Ack(t.Context(), m...),
		"Release":  c.Release(t.Context(), m...),
		"Producer": producerErr,
		"Consumer": consumerErr,
	} {
		if !errors.Is(err, queue.ErrClosed) {
			t.Errorf("%s after Close: %v, want %v", name, err, queue.ErrClosed)
		}
	}
}
