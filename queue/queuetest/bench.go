package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

const (
	// benchBody is the size of an envelope of the relay, in bytes: 200 events of 600 bytes.
	benchBody = 120_000
	// benchLease is the time after which messages of a lost response are delivered again.
	benchLease = 30 * time.Second
	// benchEvents is the number of events in such a body.
	benchEvents = 200
)

// Bench measures the throughput of messages of an envelope's size, from Send to Ack, with several senders and
// receivers.
func Bench(b *testing.B, h Harness) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { bench(b, h, workers) })
	}
}

func bench(b *testing.B, h Harness, workers int) {
	topic, groups := h.Topic(b, 1)
	broker := h.Open(b, map[string][]string{topic: groups})
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	defer stop()
	defer func() {
		if err := broker.Close(context.WithoutCancel(ctx)); err != nil {
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
	l := &load{b: b, p: p, c: c, topic: topic, n: int64(b.N)}
	b.SetBytes(benchBody)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { l.send(ctx) })
		wg.Go(func() { l.receive(ctx, stop) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(l.n)*benchEvents/b.Elapsed().Seconds(), "events/s")
}

// load sends and receives n messages.
type load struct {
	b              *testing.B
	p              queue.Producer
	c              queue.Consumer
	topic          string
	n              int64
	sent, received atomic.Int64
}

// send sends until all senders together have sent n messages.
func (l *load) send(ctx context.Context) {
	body := queue.Outgoing{Body: bytes.Repeat([]byte("x"), benchBody)}
	for l.sent.Add(1) <= l.n {
		err := l.p.Send(ctx, l.topic, body)
		for errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil {
			err = l.p.Send(ctx, l.topic, body)
		}
		if err != nil {
			l.b.Errorf("send: %v", err)
			return
		}
	}
}

// receive receives until all receivers together have n messages, and then stops the others.
func (l *load) receive(ctx context.Context, stop func()) {
	for ctx.Err() == nil {
		got, err := l.c.Receive(ctx, 16, benchLease)
		if err == nil {
			err = l.c.Ack(ctx, got...)
		}
		// On a busy machine a consumer takes longer to connect than its first poll.
		if err != nil && !errors.Is(err, queue.ErrUnavailable) && ctx.Err() == nil {
			l.b.Errorf("receive: %v", err)
			stop()
		}
		if l.received.Add(int64(len(got))) >= l.n {
			stop()
		}
	}
}
