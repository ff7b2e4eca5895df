// Package read holds what the consumers of all adapters do alike: pace themselves while the broker is away, and see
// reads through whose caller has gone.
package read

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// paceMin and paceMax bound the pause between two tries while the broker is away. The maximum is far below
	// queue.HealTime, so that the pause never is what delays healing.
	paceMin = 50 * time.Millisecond
	paceMax = 2 * time.Second
)

// Pace spaces tries out while they fail: exponentially, with jitter. The zero value is ready.
type Pace struct {
	mu    sync.Mutex
	pause time.Duration
	until time.Time
}

// Wait returns when the next try is due, or with the error of ctx.
func (p *Pace) Wait(ctx context.Context) error {
	p.mu.Lock()
	wait := time.Until(p.until)
	p.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Note takes the outcome of a try: a failure, other than the end of the caller's ctx, makes the next Wait longer, a
// success ends the pausing.
func (p *Pace) Note(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.pause, p.until = 0, time.Time{}
		return
	}
	p.pause = min(max(2*p.pause, paceMin), paceMax)
	p.until = time.Now().Add(p.pause/2 + rand.N(p.pause/2)) //nolint:gosec // Jitter needs no secrecy.
}
