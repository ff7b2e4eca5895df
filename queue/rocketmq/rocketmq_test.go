package rocketmq_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/test/leaks"
)

const (
	// maxTopics and maxGroups are enough for the suite; RocketMQ needs them created before the start.
	maxTopics = 24
	maxGroups = 32
	// shortPollTimeout requires a proxy that is configured for it, as the one of the tests is.
	shortPollTimeout = time.Second
	// warmTimeout is the maximum time that a started server takes to serve the first calls.
	warmTimeout = 2 * time.Minute
)

func TestMain(m *testing.M) { leaks.Verify(m) }

func TestBroker_Suite(t *testing.T) { queuetest.Run(t, harness(t)) }

func BenchmarkQueue(b *testing.B) { queuetest.Bench(b, harness(b)) }

func harness(t testing.TB) queuetest.Harness {
	t.Helper()
	topics, groups := names("topic", maxTopics), names("group", maxGroups)
	s := startServer(t, topics, groups)
	warm(t, s, topics[0])
	lease := shortestLease(t, s, topics[0], groups[0])
	var nextTopic, nextGroup, late atomic.Int64
	return queuetest.Harness{
		Open: func(t testing.TB, _ map[string][]string) queue.Broker { return open(t, s.Addr(), lease) },
		Topic: func(t testing.TB, n int) (string, []string) {
			last := nextGroup.Add(int64(n))
			topic := nextTopic.Add(1)
			if topic >= maxTopics || last >= maxGroups {
				t.Fatal("the suite needs more topics or groups: raise maxTopics or maxGroups")
			}
			return topics[topic], groups[last-int64(n)+1 : last+1]
		},
		UnknownGroup: func(testing.TB) (string, func()) {
			name := fmt.Sprintf("late-%d", late.Add(1))
			return name, func() { s.createGroup(t, name) }
		},
		Lease:  lease,
		Server: s,
	}
}

func names(kind string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", kind, i)
	}
	return out
}

func open(t testing.TB, addr string, minLease time.Duration) *rocketmq.Broker {
	t.Helper()
	b, err := rocketmq.New(rocketmq.Config{Endpoint: addr, PollTimeout: shortPollTimeout, MinLease: minLease})
	if err != nil {
		t.Fatalf("make a broker: %v", err)
	}
	return b
}

// shortestLease returns the proxy's minimum lease, which may be configured below the default.
func shortestLease(t testing.TB, s *server, topic, group string) time.Duration {
	t.Helper()
	const short = 2 * time.Second
	b := open(t, s.Addr(), short)
	defer closeBroker(t, b)
	c, err := b.Consumer(topic, group)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), warmTimeout)
	defer cancel()
	for {
		_, err := c.Receive(ctx, 1, short)
		switch {
		case err == nil:
			return short
		case errors.Is(err, queue.ErrInvalid):
			t.Logf("this proxy refuses leases of %v, so the suite takes longer: %v", short, err)
			return rocketmq.DefaultMinLease
		case !errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil:
			t.Fatalf("receive: %v", err)
		}
	}
}

// warm sends until it works: the first call of a new JVM takes longest, and the suite sends each message once.
func warm(t testing.TB, s *server, topic string) {
	t.Helper()
	b := open(t, s.Addr(), 0)
	defer closeBroker(t, b)
	p, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), warmTimeout)
	defer cancel()
	for err := p.Send(ctx, topic, queue.Outgoing{Body: []byte("warm")}); err != nil; err = p.Send(ctx, topic, queue.Outgoing{Body: []byte("warm")}) {
		if ctx.Err() != nil {
			t.Fatalf("nothing could be sent within %v: %v", warmTimeout, err)
		}
	}
}

func closeBroker(t testing.TB, b *rocketmq.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), waitMax)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestNew_InvalidConfig(t *testing.T) {
	for name, cfg := range map[string]rocketmq.Config{
		"no address":            {},
		"no port":               {Endpoint: "localhost"},
		"negative poll timeout": {Endpoint: "localhost:1", PollTimeout: -1},
		"negative lease":        {Endpoint: "localhost:1", MinLease: -1},
		"a lease of days":       {Endpoint: "localhost:1", MinLease: 48 * time.Hour},
	} {
		if _, err := rocketmq.New(cfg); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, queue.ErrInvalid)
		}
	}
}
