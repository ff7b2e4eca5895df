package rocketmq_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/test/realparts"
)

// benchRounds is how often each setup has its turn. Each turn takes up to four topics of its servers.
const benchRounds = 5

// BenchmarkSettings measures what a disk write before each response costs, and what a second broker does. The setups take turns, so that
// other work on the machine slows all of them. Each has a proxy of its own. docs/operations.md has the numbers.
func BenchmarkSettings(b *testing.B) {
	setups := []realparts.RocketMQSetup{{}, {SyncFlush: true}, {SyncFlush: true, TwoBrokers: true}}
	harnesses := make([]queuetest.Harness, len(setups))
	for i, setup := range setups {
		harnesses[i] = setupHarness(b, setup)
	}
	for round := range benchRounds {
		for i, setup := range setups {
			b.Run(fmt.Sprintf("sync=%v/two=%v/round=%d", setup.SyncFlush, setup.TwoBrokers, round), func(b *testing.B) {
				queuetest.Bench(b, harnesses[i])
			})
		}
	}
}

func setupHarness(b *testing.B, setup realparts.RocketMQSetup) queuetest.Harness {
	b.Helper()
	topics, groups := names("topic", maxTopics), names("group", maxTopics)
	_, _, proxy := realparts.StartRocketMQBrokers(b, topics, groups, setup)
	var next atomic.Int64
	return queuetest.Harness{
		Open: func(t testing.TB, _ map[string][]string) queue.Broker {
			return open(t, proxy.Addr(), rocketmq.DefaultMinLease)
		},
		Topic: func(t testing.TB, _ int) (string, []string) {
			n := next.Add(1) - 1
			if n >= maxTopics {
				t.Fatal("more runs than topics: raise maxTopics")
			}
			return topics[n], groups[n : n+1]
		},
	}
}

// routeLimit is the time after which the proxy sends nothing to a killed broker any more; it queries routes every 20 s or
// so.
const routeLimit = 2 * time.Minute

// TestBroker_OneOfTwoIsKilled: messages are sent and received again soon, and those that the killed broker holds arrive when it is back.
func TestBroker_OneOfTwoIsKilled(t *testing.T) {
	_, second, proxy := realparts.StartRocketMQBrokers(t, []string{"topic"}, []string{"group"}, realparts.RocketMQSetup{TwoBrokers: true})
	b := open(t, proxy.Addr(), rocketmq.DefaultMinLease)
	defer closeBroker(t, b)
	p, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Consumer("topic", "group")
	if err != nil {
		t.Fatal(err)
	}
	const each = 40
	sent, got := map[string]bool{}, map[string]bool{}
	sendAll(t, p, sent, each, queue.MaxRecoveryTime)
	second.Kill9()
	began := time.Now()
	failed := sendAll(t, p, sent, each, queue.MaxRecoveryTime)
	t.Logf("with one broker of two killed, %d of %d sends failed, all within %s", failed, each+failed, time.Since(began).Round(time.Millisecond))
	// Half of the sends fail until the proxy has another route.
	for failed = 1; failed > 0; failed = sendAll(t, p, sent, each, queue.MaxRecoveryTime) {
		if time.Since(began) > routeLimit {
			t.Fatalf("sends still fail after %s", routeLimit)
		}
	}
	t.Logf("no send failed any more after %s", time.Since(began).Round(time.Millisecond))
	before := len(got)
	receiveUntil(t, c, got, "any message while one broker is away", func() bool { return len(got) > before })
	second.Restart()
	receiveUntil(t, c, got, "all messages", func() bool {
		for body := range sent {
			if !got[body] {
				return false
			}
		}
		return true
	})
}

// sendAll sends n messages, each until it is stored, and returns how many attempts failed.
func sendAll(t *testing.T, p queue.Producer, sent map[string]bool, n int, limit time.Duration) (failed int) {
	t.Helper()
	for range n {
		body := fmt.Sprint("message ", len(sent))
		for deadline := time.Now().Add(limit); ; failed++ {
			err := p.Send(t.Context(), "topic", queue.Outgoing{Body: []byte(body)})
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("nothing could be sent within %s: %v", limit, err)
			}
		}
		sent[body] = true
	}
	return failed
}

func receiveUntil(t *testing.T, c queue.Consumer, got map[string]bool, what string, done func() bool) {
	t.Helper()
	const limit = 2 * time.Minute // A killed broker takes half a minute to start on a busy machine.
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var last error
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("waited %s in vain for %s; the last error: %v", limit, what, last)
		}
		messages, err := c.Receive(ctx, 32, rocketmq.DefaultMinLease)
		if err == nil {
			err = c.Ack(ctx, messages...)
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		for _, m := range messages {
			got[string(m.Body)] = true
		}
	}
}
