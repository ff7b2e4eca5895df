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

// missing counts the stored messages that were not received, all stored messages, and the redeliveries.
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

// wantAll waits until every stored message was received. Messages leased at the time of the kill are redelivered when
// their lease expires.
func (w *flow) wantAll(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(queue.MaxRecoveryTime + w.f.redeliveryTime())
	for {
		missing, stored, again := w.missing()
		if missing == 0 {
			t.Logf("stored and received %d messages, with %d redeliveries and %d failed calls", stored, again, w.failures)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d stored messages were never delivered", missing, stored)
		}
		wait(t, 100*time.Millisecond)
	}
	if w.failures == 0 {
		t.Error("no call failed although the server was killed, so the test proves nothing")
	}
}
