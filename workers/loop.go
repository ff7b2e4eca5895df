package workers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// backoffMin and backoffMax bound the pause after a turn that failed. The maximum keeps the promise that a worker
	// is back within seconds of the return of what it needs.
	backoffMin = 50 * time.Millisecond
	backoffMax = 5 * time.Second
	// idlePause is between two turns that found nothing and did not block; blocking reads make it rare.
	idlePause = 20 * time.Millisecond
)

// loop runs turns until ctx ends: at once while there is work, after a pause when there is none, and after a growing,
// jittered one while turns fail.
func loop(ctx context.Context, log *slog.Logger, turn func(context.Context) (int, error)) {
	poll(ctx, log, idlePause, turn)
}

// poll is loop for turns that do not block: after one that found nothing it pauses for idle.
func poll(ctx context.Context, log *slog.Logger, idle time.Duration, turn func(context.Context) (int, error)) {
	backoff := backoffMin
	for ctx.Err() == nil {
		n, err := turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.WarnContext(ctx, "turn failed; trying again", "error", err, "pause", backoff)
			sleep(ctx, backoff/2+rand.N(backoff/2+1)) //nolint:gosec // Jitter needs no secrecy.
			backoff = min(backoff*2, backoffMax)
			continue
		case n == 0:
			sleep(ctx, idle)
		}
		backoff = backoffMin
	}
}

// patiently is loop for workers that look at SQL for what went wrong: they pause after each look that found less than they can take,
// because what they have brought on stands there until it is drained.
func patiently(ctx context.Context, log *slog.Logger, turn func(context.Context) (int, error)) {
	loop(ctx, log, func(ctx context.Context) (int, error) {
		n, err := turn(ctx)
		if err == nil && n < recoveryBatch {
			sleep(ctx, recoveryPause)
		}
		return n, err
	})
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
