package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// runner loops until ctx ends, or runs one iteration, which returns how much it did.
type runner interface {
	Run(ctx context.Context)
	RunOnce(ctx context.Context) (int, error)
}

// worker is one worker of the process.
type worker struct {
	name string
	runner
	// repairs marks a worker that scans for what went wrong: it is never done.
	repairs bool
}

// finisher is a worker with an iteration of its own for a drain.
type finisher interface {
	Rest(ctx context.Context) (int, error)
}

// workerSet holds the workers of a process, first those on an order's path, in its order.
type workerSet []worker

// drainRetryPause is the time after an iteration of a drain that failed: a dependency that is unavailable is not called again and again.
const drainRetryPause = 50 * time.Millisecond

// countTimeout bounds the counting of what a drain left, which is for the log only.
const countTimeout = 5 * time.Second

// run loops every worker until ctx ends; the group waits for their last workerSet.
func (ws workerSet) run(ctx context.Context, m *workers.Metrics) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, w := range ws {
		wg.Go(func() { w.Run(m.Measured(ctx, w.name)) })
	}
	return &wg
}

// drain runs the workers in the order of an order's path until none finds anything more, so that what ends with the process
// holds nothing that SQL does not.
func (ws workerSet) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, w := range ws {
		once := w.RunOnce
		if f, ok := w.runner.(finisher); ok {
			once = f.Rest
		} else if w.repairs {
			continue
		}
		if err := untilDone(ctx, once); err != nil {
			return fmt.Errorf("%s was not done after %s; shipping and mail may be late, and only with durability sql is each answered order in SQL: %w",
				w.name, limit, err)
		}
	}
	return nil
}

// logDrained logs after a drain what is left for the next process: unpaid orders, parcels that the carrier did not take, mails that were
// not accepted.
func logDrained(ctx context.Context, log *slog.Logger, count func(ctx context.Context) (store.Unfinished, error)) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	u, err := count(ctx)
	if err != nil {
		log.WarnContext(ctx, "journal and queue are empty: every order is in SQL; failed to count what is left to do", "error", err)
		return
	}
	if u == (store.Unfinished{}) {
		log.InfoContext(ctx, "journal and queue are empty: every order is in SQL, and shipped or cancelled; no mail is due")
		return
	}
	log.InfoContext(ctx, "journal and queue are empty: every order is in SQL; the next process goes on with those that are not at their end",
		"pending", u.Pending, "paid", u.Paid, "ship_failed", u.ShipFailed, "mails_due", u.MailsDue, "dead_letters", u.DeadLetters)
}

func untilDone(ctx context.Context, once func(context.Context) (int, error)) error {
	for {
		n, err := once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && n == 0 {
			return nil
		}
		if err != nil {
			_ = pause.For(ctx, drainRetryPause) // The next iteration sees the end of ctx.
		}
	}
}
