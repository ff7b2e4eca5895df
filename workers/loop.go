package workers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/spillway/spillway/pause"
)

const (
	// minBackoff and maxBackoff bound the pause after an iteration that failed. The maximum makes a worker resume within seconds of
	// the return of its dependency.
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
	// idleInterval is the pause after an iteration that found nothing and did not block; blocking reads make it rare.
	idleInterval = 20 * time.Millisecond
)

// loop calls runOnce until ctx ends: at once while there is work, after idleInterval when there is none, and after a growing, jittered
// backoff while iterations fail. One that did something shows that its dependency responds, and ends the growth.
func loop(ctx context.Context, log *slog.Logger, runOnce func(context.Context) (int, error)) {
	poll(ctx, log, idleInterval, runOnce)
}

// poll is loop for iterations that do not block: it pauses for interval after one that found nothing, and for at least as long after one that failed.
func poll(ctx context.Context, log *slog.Logger, interval time.Duration, runOnce func(context.Context) (int, error)) {
	backoff := minBackoff
	for ctx.Err() == nil {
		n, err := runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		countIteration(ctx, n, err)
		switch {
		case err != nil:
			if n > 0 {
				backoff = minBackoff
			}
			log.WarnContext(ctx, "iteration failed, retrying", "error", err, "backoff", backoff)
			sleep(ctx, max(interval, backoff/2+rand.N(backoff/2+1))) //nolint:gosec // Jitter needs no secrecy.
			backoff = min(backoff*2, maxBackoff)
			continue
		case n == 0:
			sleep(ctx, interval)
		}
		backoff = minBackoff
	}
}

// pollRecovery is loop for workers that repair what SQL lists: it pauses for recoveryInterval after each iteration that did something and less than
// a full recoveryBatch, or found nothing, because repaired orders stay listed until their events are drained.
func pollRecovery(ctx context.Context, log *slog.Logger, runOnce func(context.Context) (int, error)) {
	loop(ctx, log, func(ctx context.Context) (int, error) {
		n, err := runOnce(ctx)
		if (err == nil || n > 0) && n < recoveryBatch {
			sleep(ctx, recoveryInterval)
		}
		return n, err
	})
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	_ = pause.For(ctx, d) // The caller sees the end of ctx.
}
