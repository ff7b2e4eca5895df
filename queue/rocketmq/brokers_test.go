package rocketmq_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// benchRounds is how often each setup has its turn.
	benchRounds = 5
	// benchSenders send at once, messages of the size of an envelope of the relay.
	benchSenders     = 4
	benchBody        = 120_000
	benchEventsInOne = 200
)

// BenchmarkSettings measures what a disk write before each response costs, and what a second broker does: how fast messages are stored. The
// setups take turns, so that other work on the machine slows all of them. Each has a proxy of its own. docs/operations.md has the numbers.
func BenchmarkSettings(b *testing.B) {
	setups := []realparts.RocketMQSetup{{}, {SyncFlush: true}, {SyncFlush: true, TwoBrokers: true}}
	producers := make([]func() queue.Producer, len(setups))
	for i, setup := range setups {
		// Only those that -bench names are started.
		producers[i] = sync.OnceValue(func() queue.Producer { return benchProducer(b, setup) })
	}
	for round := range benchRounds {
		for i, setup := range setups {
			b.Run(fmt.Sprintf("sync=%v/two=%v/round=%d", setup.SyncFlush, setup.TwoBrokers, round), func(b *testing.B) {
				p := producers[i]()
				b.ResetTimer()
				benchSend(b, p)
			})
		}
	}
}

// benchProducer starts the servers, until b ends.
func benchProducer(b *testing.B, setup realparts.RocketMQSetup) queue.Producer {
	_, _, proxy := realparts.StartRocketMQBrokers(b, []string{"topic"}, []string{"group"}, setup)
	broker := open(b, proxy.Addr(), rocketmq.DefaultMinLease)
	b.Cleanup(func() { closeBroker(b, broker) })
	p, err := broker.Producer()
	if err != nil {
		b.Error(err)
	}
	return p
}

func benchSend(b *testing.B, p queue.Producer) {
	body := bytes.Repeat([]byte("x"), benchBody)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range benchSenders {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := p.Send(b.Context(), "topic", queue.Outgoing{Body: body}); err != nil {
					b.Errorf("send: %v", err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)*benchEventsInOne/b.Elapsed().Seconds(), "events/s")
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
	// A killed broker takes half a minute to start on a busy machine, and the proxy half a minute more to find it again.
	const limit = 5 * time.Minute
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
