package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// redeliveryTime is the time to wait for a message when its lease expires now.
func (f *fixture) redeliveryTime() time.Duration {
	ft := f.broker.Features()
	return f.h.Lease + ft.MaxRedeliveryDelay + ft.PollTimeout + slack
}

// recoveryTime is the time within which messages arrive after the server has returned: one that a lost response contained
// is leased first.
func (f *fixture) recoveryTime() time.Duration { return queue.MaxRecoveryTime + f.redeliveryTime() }

// nextLease is the lease to request when a message that was received for Harness.Lease should be redelivered.
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
	// The lease begins when the broker delivers the message: after Receive is called and, on a busy machine, long
	// before it returns.
	start := time.Now()
	first := receive(t, c, 1, h.Lease, healthyTimeout)[0]
	second := receive(t, f.consumer(t, 0), 1, f.nextLease(), f.redeliveryTime())[0]
	if early := h.Lease*3/4 - time.Since(start); early > 0 {
		t.Errorf("the message was redelivered %v too early", early)
	}
	if second.ID != first.ID || second.Attempt <= first.Attempt || string(second.Body) != "lease me" {
		t.Errorf("redelivery: id %s attempt %d body %q; want id %s and a later attempt", second.ID, second.Attempt, second.Body, first.ID)
	}
	ack(t, c, second)
	wantNothing(t, c, h.Lease, h.Lease+f.broker.Features().MaxRedeliveryDelay)
	f.testLateAck(t, c)
}

// testLateAck acknowledges after the lease has expired, and expects the declared behaviour of the adapter.
func (f *fixture) testLateAck(t *testing.T, c queue.Consumer) {
	t.Helper()
	f.send(t, "late")
	late := receive(t, c, 1, f.h.Lease, healthyTimeout)[0]
	wait(t, f.h.Lease+time.Second/4)
	ack(t, c, late)
	if f.broker.Features().AckAfterLease {
		wantNothing(t, c, f.h.Lease, f.h.Lease+f.broker.Features().MaxRedeliveryDelay)
		return
	}
	ack(t, c, receive(t, c, 1, f.nextLease(), f.redeliveryTime())...)
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
	first := receive(t, c, 3, longLease, healthyTimeout)
	if err := c.Release(t.Context(), first...); err != nil {
		t.Fatalf("release: %v", err)
	}
	redelivered := receive(t, c, 3, longLease, f.redeliveryTime())
	wantBodies(t, redelivered, numbered(3)...)
	for _, m := range redelivered {
		if m.Attempt != 2 {
			t.Errorf("attempt = %d after a release, want 2", m.Attempt)
		}
	}
	ack(t, c, redelivered...)
}

func testConsumerDeath(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	dying := f.consumer(t, 0)
	f.send(t, numbered(5)...)
	receive(t, dying, 5, h.Lease, healthyTimeout)
	closeWithin(t, "consumer", dying)
	c := f.consumer(t, 0)
	got := receive(t, c, 5, f.nextLease(), f.redeliveryTime())
	wantBodies(t, got, numbered(5)...)
	ack(t, c, got...)
}

// testCancel ends the context of a waiting Receive, and sends at the same moment: the message must not stay leased to a
// caller that has given up.
func testCancel(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	c := f.consumer(t, 0)
	// The first Receive may have to connect.
	wantNothing(t, c, longLease, 100*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	for ctx.Err() == nil {
		if _, err := c.Receive(ctx, 1, longLease); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("receive: %v, want the context's error", err)
		}
	}
	if took := time.Since(start); took > promptTimeout {
		t.Errorf("Receive returned %v after its context ended", took)
	}
	f.send(t, "just then")
	got := receive(t, f.consumer(t, 0), 1, longLease, f.redeliveryTime())
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
	m := receive(t, c, 1, longLease, healthyTimeout)
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
