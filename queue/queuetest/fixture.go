package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

const (
	// healthyTimeout is the timeout for operations that take moments on a healthy server: a server and a test that share
	// a fraction of a core need many times as long.
	healthyTimeout = 60 * time.Second
	// promptTimeout is the timeout for operations that are immediate, on a busy machine. It is less than the 5 s of a
	// long poll.
	promptTimeout = 4 * time.Second
	// slack is added to the timeout of waits that end early: it costs time only when the test fails.
	slack = 20 * time.Second
	// longLease does not expire during any test.
	longLease = 10 * time.Minute
)

// fixture is a new topic with its groups on an open broker.
type fixture struct {
	h      Harness
	topic  string
	groups []string
	broker queue.Broker
	// probe has a topic of its own, to see whether the server works.
	probe *fixture
	// recoveries is the number of calls of wantRecovered.
	recoveries int
}

func newFixture(t *testing.T, h Harness, groups int) *fixture {
	t.Helper()
	f := &fixture{h: h}
	f.topic, f.groups = h.Topic(t, groups)
	f.open(t)
	return f
}

func (f *fixture) open(t *testing.T) {
	t.Helper()
	f.broker = f.h.Open(t, map[string][]string{f.topic: f.groups})
	t.Cleanup(func() { closeWithin(t, "broker", f.broker) })
}

type closable interface {
	Close(ctx context.Context) error
}

// closeWithin closes what a test opened. The context of a test has ended by the time its cleanup runs.
func closeWithin(t *testing.T, what string, c closable) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), healthyTimeout)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("close the %s: %v", what, err)
	}
}

func (f *fixture) producer(t *testing.T) queue.Producer {
	t.Helper()
	p, err := f.broker.Producer()
	if err != nil {
		t.Fatalf("make a producer: %v", err)
	}
	return p
}

func (f *fixture) consumer(t *testing.T, group int) queue.Consumer {
	t.Helper()
	c, err := f.broker.Consumer(f.topic, f.groups[group])
	if err != nil {
		t.Fatalf("make a consumer: %v", err)
	}
	return c
}

// send sends the bodies in one call.
func (f *fixture) send(t *testing.T, bodies ...string) {
	t.Helper()
	messages := make([]queue.Outgoing, len(bodies))
	for i, b := range bodies {
		messages[i].Body = []byte(b)
	}
	if err := f.producer(t).Send(t.Context(), f.topic, messages...); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// receive receives until it has n messages, and fails the test when that takes longer than within.
func receive(t *testing.T, c queue.Consumer, n int, lease, within time.Duration) []queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var out []queue.Message
	for len(out) < n {
		got, err := receiveConnected(ctx, c, n-len(out), lease)
		if err != nil {
			t.Fatalf("receive: %v; %d of %d messages came within %v", err, len(out), n, within)
		}
		out = append(out, got...)
	}
	return out
}

// receiveConnected retries a Receive while it fails with queue.ErrUnavailable, because on a busy machine a consumer takes
// longer to connect than its first poll. After the end of ctx it returns the last such failure.
func receiveConnected(ctx context.Context, c queue.Consumer, n int, lease time.Duration) ([]queue.Message, error) {
	var last error
	for {
		got, err := c.Receive(ctx, n, lease)
		if err != nil && ctx.Err() != nil && last != nil {
			return nil, last
		}
		if !errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil {
			return got, err
		}
		last = err
	}
}

// wantNothing fails the test if a message arrives within the time.
func wantNothing(t *testing.T, c queue.Consumer, lease, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		got, err := c.Receive(ctx, 10, lease)
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if len(got) > 0 {
			t.Fatalf("message %s came, attempt %d: %.40q", got[0].ID, got[0].Attempt, got[0].Body)
		}
	}
}

func ack(t *testing.T, c queue.Consumer, messages ...queue.Message) {
	t.Helper()
	if err := c.Ack(t.Context(), messages...); err != nil {
		t.Fatalf("acknowledge: %v", err)
	}
}

// numbered returns n different bodies.
func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("message %d", i)
	}
	return out
}

// wantBodies fails the test unless the messages are exactly those, in any order.
func wantBodies(t *testing.T, got []queue.Message, want ...string) {
	t.Helper()
	left := make(map[string]int)
	for _, b := range want {
		left[b]++
	}
	for _, m := range got {
		left[string(m.Body)]--
	}
	for body, n := range left {
		if n != 0 {
			t.Errorf("%.40q came %+d times too often", body, -n)
		}
	}
}
