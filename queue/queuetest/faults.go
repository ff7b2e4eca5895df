package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

const (
	// maxFailTime is the maximum duration of one call while the server is down.
	maxFailTime = 15 * time.Second
	// flowDuration is the time for which messages flow before and after the kill.
	flowDuration = 2 * time.Second
)

// wantUnavailable fails the test unless the call fails with queue.ErrUnavailable within maxFailTime.
func wantUnavailable(t *testing.T, what string, call func() error) {
	t.Helper()
	start := time.Now()
	if err := call(); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("%s: %v, want %v", what, err, queue.ErrUnavailable)
	}
	if took := time.Since(start); took > maxFailTime {
		t.Errorf("%s took %v to fail, want at most %v", what, took, maxFailTime)
	}
}

// sendOnceRecovered retries a Send until it succeeds, for at most queue.MaxRecoveryTime.
func (f *fixture) sendOnceRecovered(t *testing.T, p queue.Producer, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), queue.MaxRecoveryTime)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		err := p.Send(ctx, f.topic, queue.Outgoing{Body: []byte(body)})
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		wait(t, 100*time.Millisecond)
	}
	t.Fatalf("nothing could be sent within %v; the last error was: %v", queue.MaxRecoveryTime, last)
}

// wantRecovered fails the test unless a message is delivered from p to c within queue.MaxRecoveryTime.
func (f *fixture) wantRecovered(t *testing.T, p queue.Producer, c queue.Consumer) {
	t.Helper()
	start := time.Now()
	f.sendOnceRecovered(t, p, "recovered")
	for {
		got := f.receiveOnceRecovered(t, c, 1)
		ack(t, c, got...)
		if string(got[0].Body) == "recovered" {
			break
		}
	}
	took := time.Since(start)
	if took > queue.MaxRecoveryTime {
		t.Errorf("recovery took %v, want at most %v", took, queue.MaxRecoveryTime)
	}
	t.Logf("recovered after %v", took.Round(10*time.Millisecond))
}

func testFrozen(t *testing.T, h Harness) {
	server, ok := h.Server.(Freezer)
	if !ok {
		t.Log("skipped the freeze: the server runs in the test's process")
		return
	}
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	f.wantRecovered(t, p, c)
	server.Freeze(t)
	thaw := sync.OnceFunc(func() { server.Thaw(t) })
	defer thaw()
	wantUnavailable(t, "Send", func() error { return p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("x")}) })
	wantUnavailable(t, "Receive", func() error {
		_, err := c.Receive(t.Context(), 1, longLease)
		return err
	})
	thaw()
	f.wantRecovered(t, p, c)
}

func testDownAtStart(t *testing.T, h Harness) {
	h.Server.Kill(t)
	restart := sync.OnceFunc(func() { h.Server.Restart(t) })
	defer restart()
	start := time.Now()
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	if took := time.Since(start); took > promptTimeout {
		t.Errorf("the constructors took %v without a server, want at most %v", took, promptTimeout)
	}
	wantUnavailable(t, "Send", func() error { return p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("x")}) })
	wantUnavailable(t, "Receive", func() error {
		_, err := c.Receive(t.Context(), 1, longLease)
		return err
	})
	restart()
	f.wantRecovered(t, p, c)
}

func testKill(t *testing.T, h Harness) {
	f := newFixture(t, h, 2)
	p, c := f.producer(t), f.consumer(t, 0)
	w := &flow{f: f, stored: make(map[string]bool), seen: make(map[string]int)}
	f.wantRecovered(t, p, f.consumer(t, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var receivers, senders sync.WaitGroup
	defer receivers.Wait()
	defer cancel()
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	for i := range 3 {
		senders.Go(func() { w.send(sending, p, fmt.Sprint("sender", i)) })
	}
	for range 2 {
		receivers.Go(func() { w.receive(ctx, c) })
	}
	wait(t, flowDuration)
	h.Server.Kill(t)
	wait(t, flowDuration)
	h.Server.Restart(t)
	f.wantRecovered(t, p, f.consumer(t, 1))
	wait(t, flowDuration)
	stopSending()
	senders.Wait()
	w.wantAll(t)
}
