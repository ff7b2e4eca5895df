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
	// failsWithin bounds one call while the server is away.
	failsWithin = 15 * time.Second
	// flowTime is how long messages flow before and after the kill.
	flowTime = 2 * time.Second
)

// wantUnavailable fails the test unless the call fails with queue.ErrUnavailable, in bounded time.
func wantUnavailable(t *testing.T, what string, call func() error) {
	t.Helper()
	start := time.Now()
	if err := call(); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("%s: %v, want %v", what, err, queue.ErrUnavailable)
	}
	if took := time.Since(start); took > failsWithin {
		t.Errorf("%s took %v to fail, want at most %v", what, took, failsWithin)
	}
}

// sendOnceHealed sends until it succeeds, for queue.HealTime.
func (f *fixture) sendOnceHealed(t *testing.T, p queue.Producer, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), queue.HealTime)
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
	t.Fatalf("nothing could be sent within %v; the last failure was: %v", queue.HealTime, last)
}

// wantHealed fails the test unless a message goes from p to c within queue.HealTime.
func (f *fixture) wantHealed(t *testing.T, p queue.Producer, c queue.Consumer) {
	t.Helper()
	start := time.Now()
	f.sendOnceHealed(t, p, "healed")
	for {
		got := f.receiveOnceHealed(t, c, 1)
		ack(t, c, got...)
		if string(got[0].Body) == "healed" {
			break
		}
	}
	took := time.Since(start)
	if took > queue.HealTime {
		t.Errorf("healing took %v, want at most %v", took, queue.HealTime)
	}
	t.Logf("healed after %v", took.Round(10*time.Millisecond))
}

func testFrozen(t *testing.T, h Harness) {
	server, ok := h.Server.(Freezer)
	if !ok {
		t.Log("this server lives in the process of the test and cannot be frozen; down at start and kill follow")
		return
	}
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	f.wantHealed(t, p, c)
	server.Freeze(t)
	thaw := sync.OnceFunc(func() { server.Thaw(t) })
	defer thaw()
	wantUnavailable(t, "Send", func() error { return p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("x")}) })
	wantUnavailable(t, "Receive", func() error {
		_, err := c.Receive(t.Context(), 1, longLease)
		return err
	})
	thaw()
	f.wantHealed(t, p, c)
}

func testDownAtStart(t *testing.T, h Harness) {
	h.Server.Kill(t)
	restart := sync.OnceFunc(func() { h.Server.Restart(t) })
	defer restart()
	start := time.Now()
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	if took := time.Since(start); took > promptly {
		t.Errorf("the constructors took %v without a server, want at most %v", took, promptly)
	}
	wantUnavailable(t, "Send", func() error { return p.Send(t.Context(), f.topic, queue.Outgoing{Body: []byte("x")}) })
	wantUnavailable(t, "Receive", func() error {
		_, err := c.Receive(t.Context(), 1, longLease)
		return err
	})
	restart()
	f.wantHealed(t, p, c)
}

func testKill(t *testing.T, h Harness) {
	f := newFixture(t, h, 2)
	p, c := f.producer(t), f.consumer(t, 0)
	w := &flow{f: f, stored: make(map[string]bool), seen: make(map[string]int)}
	f.wantHealed(t, p, f.consumer(t, 1))
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
	wait(t, flowTime)
	h.Server.Kill(t)
	wait(t, flowTime)
	h.Server.Restart(t)
	f.wantHealed(t, p, f.consumer(t, 1))
	wait(t, flowTime)
	stopSending()
	senders.Wait()
	w.wantAll(t)
}
