package rocketmq_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/rocketmq"
)

const (
	// topicsMax and groupsMax are enough for the suite; RocketMQ wants them made before the start.
	topicsMax = 24
	groupsMax = 32
	// shortAwait needs a proxy that allows it, as that of the tests does.
	shortAwait = time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) { queuetest.Run(t, harness(t)) }

func BenchmarkQueue(b *testing.B) { queuetest.Bench(b, harness(b)) }

func harness(t testing.TB) queuetest.Harness {
	t.Helper()
	topics, groups := names("topic", topicsMax), names("group", groupsMax)
	s := startServer(t, topics, groups)
	lease := shortestLease(t, s, topics[0], groups[0])
	var nextTopic, nextGroup, late atomic.Int64
	return queuetest.Harness{
		Open: func(t testing.TB, _ map[string][]string) queue.Broker { return open(t, s.Addr(), lease) },
		Topic: func(t testing.TB, n int) (string, []string) {
			last := nextGroup.Add(int64(n))
			topic := nextTopic.Add(1)
			if topic >= topicsMax || last >= groupsMax {
				t.Fatal("the suite needs more topics or groups: raise topicsMax or groupsMax")
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

func open(t testing.TB, addr string, leaseMin time.Duration) *rocketmq.Broker {
	t.Helper()
	b, err := rocketmq.New(rocketmq.Config{Endpoint: addr, Await: shortAwait, LeaseMin: leaseMin})
	if err != nil {
		t.Fatalf("make a broker: %v", err)
	}
	return b
}

// shortestLease asks the proxy, which may be configured for shorter ones than it is shipped with.
func shortestLease(t testing.TB, s *server, topic, group string) time.Duration {
	t.Helper()
	const short = 2 * time.Second
	b := open(t, s.Addr(), short)
	defer closeBroker(t, b)
	c, err := b.Consumer(topic, group)
	if err != nil {
		t.Fatal(err)
	}
	switch _, err := c.Receive(t.Context(), 1, short); {
	case err == nil:
		return short
	case errors.Is(err, queue.ErrInvalid):
		t.Logf("this proxy refuses leases of %v, so the suite takes longer: %v", short, err)
		return rocketmq.DefaultLeaseMin
	default:
		t.Fatalf("receive: %v", err)
		return 0
	}
}

func closeBroker(t testing.TB, b *rocketmq.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]rocketmq.Config{
		"no address":      {},
		"no port":         {Endpoint: "localhost"},
		"negative await":  {Endpoint: "localhost:1", Await: -1},
		"negative lease":  {Endpoint: "localhost:1", LeaseMin: -1},
		"a lease of days": {Endpoint: "localhost:1", LeaseMin: 48 * time.Hour},
	} {
		if _, err := rocketmq.New(cfg); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, queue.ErrInvalid)
		}
	}
}
