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

// flow sends numbered messages and receives them, until it is stopped.
type flow struct {
	f *fixture

	mu     sync.Mutex
	stored map[string]bool
	seen   map[string]int
	// failures are those of Send and Receive.
	failures int
}

// send sends the next number until it is stored, as a caller has to.
func (w *flow) send(ctx context.Context, p queue.Producer, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		body := fmt.Sprintf("%s-%d", name, i)
		for ctx.Err() == nil {
			err := p.Send(ctx, w.f.topic, queue.Outgoing{Body: []byte(body)})
			if w.note(err, func() { w.stored[body] = true }) {
				break
			}
			pause(ctx, 50*time.Millisecond)
		}
		pause(ctx, 2*time.Millisecond)
	}
}

// receive receives and acknowledges.
func (w *flow) receive(ctx context.Context, c queue.Consumer) {
	for ctx.Err() == nil {
		got, err := c.Receive(ctx, 16, w.f.h.Lease)
		w.note(err, func() {})
		if len(got) == 0 || !w.note(c.Ack(ctx, got...), func() {}) {
			continue
		}
		w.mu.Lock()
		for _, m := range got {
			w.seen[string(m.Body)]++
		}
		w.mu.Unlock()
	}
}

func (w *flow) note(err error, ok func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failures++
		return false
	}
	ok()
	return true
}

// missing are the messages that were stored and not received.
func (w *flow) missing() (missing, stored, again int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for body := range w.stored {
		if w.seen[body] == 0 {
			missing++
		}
	}
	for _, n := range w.seen {
		again += n - 1
	}
	return missing, len(w.stored), again
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
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

// wantAll waits until all that was stored was received. What was under a lease at the kill comes when it has run out.
func (w *flow) wantAll(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(queue.HealTime + w.f.again())
	for {
		missing, stored, again := w.missing()
		if missing == 0 {
			t.Logf("%d messages stored and received, %d more deliveries, %d calls failed", stored, again, w.failures)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages that Send said were stored never came", missing, stored)
		}
		wait(t, 100*time.Millisecond)
	}
	if w.failures == 0 {
		t.Error("no call failed although the server was killed: the test has tested nothing")
	}
}
