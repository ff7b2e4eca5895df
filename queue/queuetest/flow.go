package queuetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// flow sends numbered messages and receives them until it is stopped.
type flow struct {
	f *fixture

	mu     sync.Mutex
	stored map[string]bool
	seen   map[string]int
	// failures is the number of failed calls.
	failures int
}

// send retries each message until it is stored, as a caller has to.
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

// receive receives and acknowledges. A message counts once it was received: if its acknowledgement failed it may be
// acknowledged all the same, when only the reply was lost, and then it is not redelivered.
func (w *flow) receive(ctx context.Context, c queue.Consumer) {
	for ctx.Err() == nil {
		got, err := c.Receive(ctx, 16, w.f.h.Lease)
		w.note(err, func() {})
		if len(got) == 0 {
			continue
		}
		w.mu.Lock()
		for _, m := range got {
			w.seen[string(m.Body)]++
		}
		w.mu.Unlock()
		w.note(c.Ack(ctx, got...), func() {})
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

// counts are those of a flow.
type counts struct {
	// stored messages, those of them that were not received, redeliveries, and failed calls.
	stored, missing, again, failures int
}

func (w *flow) counts() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := counts{stored: len(w.stored), failures: w.failures}
	for body := range w.stored {
		if w.seen[body] == 0 {
			n.missing++
		}
	}
	for _, times := range w.seen {
		n.again += times - 1
	}
	return n
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// wantFailure waits until a call has failed, because without one the test would prove nothing.
func (w *flow) wantFailure(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(healthyTimeout)
	for w.counts().failures == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("no call failed within %v although the server was killed", healthyTimeout)
		}
		wait(t, 10*time.Millisecond)
	}
}

// wantAll waits until every stored message was received, and fails the test when none was for recoveryTime. Messages
// leased at the time of the kill are redelivered when their lease expires.
func (w *flow) wantAll(t *testing.T) {
	t.Helper()
	last := w.counts()
	for deadline := time.Now().Add(w.f.recoveryTime()); last.missing > 0; wait(t, 100*time.Millisecond) {
		n := w.counts()
		if n.missing < last.missing {
			deadline = time.Now().Add(w.f.recoveryTime())
		}
		last = n
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d stored messages were never delivered", n.missing, n.stored)
		}
	}
	t.Logf("stored and received %d messages, with %d redeliveries and %d failed calls", last.stored, last.again, last.failures)
}
