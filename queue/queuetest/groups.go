package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

func testShare(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	a, b := f.consumer(t, 0), f.consumer(t, 0)
	const n = 40
	f.send(t, numbered(n)...)
	var got []queue.Message
	shares := map[queue.Consumer]int{}
	ctx, cancel := context.WithTimeout(t.Context(), healthyTimeout)
	defer cancel()
	for len(got) < n {
		for _, c := range []queue.Consumer{a, b} {
			m, err := receiveConnected(ctx, c, 4, longLease)
			if err != nil {
				t.Fatalf("receive: %v; %d of %d messages came", err, len(got), n)
			}
			ack(t, c, m...)
			got = append(got, m...)
			shares[c] += len(m)
		}
	}
	wantBodies(t, got, numbered(n)...)
	if shares[a] == 0 || shares[b] == 0 {
		t.Errorf("one consumer got %d, the other %d of %d messages", shares[a], shares[b], n)
	}
}

func testGroups(t *testing.T, h Harness) {
	f := newFixture(t, h, 2)
	f.send(t, numbered(10)...)
	for i := range f.groups {
		c := f.consumer(t, i)
		got := receive(t, c, 10, longLease, healthyTimeout)
		wantBodies(t, got, numbered(10)...)
		ack(t, c, got...)
	}
}

// testUnknownGroup receives for a group that did not exist when the messages were sent.
func testUnknownGroup(t *testing.T, h Harness) {
	f := newFixture(t, h, 1)
	create := func() {}
	if !f.broker.Features().CreatesGroups {
		f.groups[0], create = h.UnknownGroup(t)
		f.open(t)
	}
	f.send(t, numbered(5)...)
	c := f.consumer(t, 0)
	if !f.broker.Features().CreatesGroups {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), healthyTimeout)
		defer cancel()
		if _, err := receiveConnected(ctx, c, 1, longLease); !errors.Is(err, queue.ErrUnknownGroup) {
			t.Errorf("receive for an unknown group: %v, want %v", err, queue.ErrUnknownGroup)
		}
		if took := time.Since(start); took > healthyTimeout/2 {
			t.Errorf("the error took %v", took)
		}
	}
	create()
	got := f.receiveOnceRecovered(t, c, 5, longLease)
	wantBodies(t, got, numbered(5)...)
	ack(t, c, got...)
}

// receiveOnceRecovered is receive, but tolerates failures for recoveryTime.
func (f *fixture) receiveOnceRecovered(t *testing.T, c queue.Consumer, n int, lease time.Duration) []queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), f.recoveryTime())
	defer cancel()
	var out []queue.Message
	var last error
	for len(out) < n {
		got, err := c.Receive(ctx, n-len(out), lease)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d messages came within %v; the last failure was: %v", len(out), n, f.recoveryTime(), last)
		}
		if err != nil {
			last = err
		}
		out = append(out, got...)
	}
	return out
}
