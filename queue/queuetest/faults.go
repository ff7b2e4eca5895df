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
	// serverTimeout is the maximum time that a server, such as a JVM, takes to serve anyone after it was frozen or started.
	serverTimeout = 3 * time.Minute
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

// awaitServer returns when clients that connect anew can send and receive, for which a server with a fraction of a core
// takes its time. What the adapter needs to recover counts from then on.
func (f *fixture) awaitServer(t *testing.T) {
	t.Helper()
	if f.probe == nil {
		f.probe = newFixture(t, f.h, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), serverTimeout)
	defer cancel()
	anew := fixture{h: f.h, topic: f.probe.topic, groups: f.probe.groups}
	anew.open(t)
	p, c := anew.producer(t), anew.consumer(t, 0)
	err := sendOnce(ctx, p, anew.topic, "up")
	for err == nil && ctx.Err() == nil {
		var got []queue.Message
		if got, err = receiveConnected(ctx, c, 1, f.h.Lease); len(got) > 0 && c.Ack(ctx, got...) == nil {
			return
		}
	}
	t.Fatalf("new clients could not send, receive and acknowledge within %v: %v", serverTimeout, err)
}

// sendOnce retries a Send until it succeeds. After the end of ctx it returns the last failure.
func sendOnce(ctx context.Context, p queue.Producer, topic, body string) error {
	last := errors.New("no attempt failed, but none ended in time")
	for ctx.Err() == nil {
		err := p.Send(ctx, topic, queue.Outgoing{Body: []byte(body)})
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		pause(ctx, 100*time.Millisecond)
	}
	return last
}

// wantRecovered fails the test unless Send works within queue.MaxRecoveryTime after the server has returned, and its
// message is delivered from p to c and acknowledged within recoveryTime. The lease is short: until the server has noticed
// that the caller of an earlier Receive has given up, it delivers to it.
func (f *fixture) wantRecovered(t *testing.T, p queue.Producer, c queue.Consumer) {
	t.Helper()
	f.awaitServer(t)
	start := time.Now()
	f.recoveries++
	body := fmt.Sprint("recovered ", f.recoveries)
	ctx, cancel := context.WithTimeout(t.Context(), queue.MaxRecoveryTime)
	defer cancel()
	if err := sendOnce(ctx, p, f.topic, body); err != nil {
		t.Fatalf("nothing could be sent within %v; the last error was: %v", queue.MaxRecoveryTime, err)
	}
	for {
		got := f.receiveOnceRecovered(t, c, 1, f.h.Lease)
		err := c.Ack(t.Context(), got...)
		took := time.Since(start).Round(10 * time.Millisecond)
		if err == nil && string(got[0].Body) == body {
			t.Logf("recovered after %v", took)
			return
		}
		if took > f.recoveryTime() {
			t.Fatalf("recovery took %v, want at most %v; the last acknowledgement: %v", took, f.recoveryTime(), err)
		}
	}
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
		_, err := c.Receive(t.Context(), 1, h.Lease)
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
	f := newFixture(t, h, 1)
	p, c := f.producer(t), f.consumer(t, 0)
	// On a topic of its own: behind the messages that flow, one would arrive later the longer they have flowed.
	beside := newFixture(t, h, 1)
	pBeside, cBeside := beside.producer(t), beside.consumer(t, 0)
	w := &flow{f: f, stored: make(map[string]bool), seen: make(map[string]int)}
	beside.wantRecovered(t, pBeside, cBeside)
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
	w.wantFailure(t)
	h.Server.Restart(t)
	beside.wantRecovered(t, pBeside, cBeside)
	wait(t, flowDuration)
	stopSending()
	senders.Wait()
	w.wantAll(t)
}
