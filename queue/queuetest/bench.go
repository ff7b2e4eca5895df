package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillway/spillway/queue"
)

const (
	// benchBody is about a relay's envelope: 200 events of 600 bytes.
	benchBody = 120_000
	// benchEvents is how many events such a body holds.
	benchEvents = 200
)

// Bench measures how many messages of a relay's size go through a topic, from sender to acknowledgement, with several
// senders and receivers.
func Bench(b *testing.B, h Harness) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { bench(b, h, workers) })
	}
}

func bench(b *testing.B, h Harness, workers int) {
	topic, groups := h.Topic(b, 1)
	broker := h.Open(b, map[string][]string{topic: groups})
	ctx := context.WithoutCancel(b.Context())
	defer func() {
		if err := broker.Close(ctx); err != nil {
			b.Errorf("close: %v", err)
		}
	}()
	p, err := broker.Producer()
	if err != nil {
		b.Fatal(err)
	}
	c, err := broker.Consumer(topic, groups[0])
	if err != nil {
		b.Fatal(err)
	}
	body := queue.Outgoing{Body: bytes.Repeat([]byte("x"), benchBody)}
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	var sent, received atomic.Int64
	n := int64(b.N)
	b.SetBytes(benchBody)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for sent.Add(1) <= n {
				if err := p.Send(ctx, topic, body); err != nil {
					b.Errorf("send: %v", err)
					return
				}
			}
		})
		wg.Go(func() {
			for receiving.Err() == nil && !b.Failed() {
				got, err := c.Receive(receiving, 16, longLease)
				if err == nil {
					err = c.Ack(ctx, got...)
				}
				if err != nil && receiving.Err() == nil {
					b.Errorf("receive: %v", err)
					return
				}
				if received.Add(int64(len(got))) >= n {
					stop()
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(n)*benchEvents/b.Elapsed().Seconds(), "events/s")
}
