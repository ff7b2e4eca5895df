// Package read holds what the consumers of all adapters share: backoff while the broker is down, and reads that outlive
// their caller.
package read

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spillway/spillway/pause"
)

const (
	// minBackoff and maxBackoff bound the delay between two attempts while the broker is down. The maximum is far below
	// queue.MaxRecoveryTime, so that the backoff does not delay recovery.
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// Backoff delays attempts exponentially, with jitter, while they fail. The zero value is ready. It is safe for
// concurrent use.
type Backoff struct {
	mu    sync.Mutex
	delay time.Duration
	until time.Time
}

// Wait returns when the next attempt is due, or with the error of ctx.
func (b *Backoff) Wait(ctx context.Context) error {
	b.mu.Lock()
	wait := time.Until(b.until)
	b.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	return pause.For(ctx, wait)
}

// Record takes the result of an attempt. A failure, unless ctx has ended, doubles the delay up to the maximum; a
// success resets it.
func (b *Backoff) Record(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.delay, b.until = 0, time.Time{}
		return
	}
	b.delay = min(max(2*b.delay, minBackoff), maxBackoff)
	b.until = time.Now().Add(b.delay/2 + rand.N(b.delay/2)) //nolint:gosec // Jitter needs no secrecy.
}
