package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/store"
)

// turn is one worker: a name and what it does once.
type turn struct {
	name string
	run  func(ctx context.Context)
	once func(ctx context.Context) (int, error)
	// repairs says that it looks for what went wrong, and is never at its end.
	repairs bool
}

type turns []turn

// countTimeout bounds the counting of what a drain left, which is for the log only.
const countTimeout = 5 * time.Second

// run loops every worker until ctx ends; the group waits for their last turns.
func (ts turns) run(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, t := range ts {
		wg.Go(func() { t.run(ctx) })
	}
	return &wg
}

// drain runs the workers in the order of an order's path until none finds anything more, so that what ends with the process
// holds nothing that SQL does not.
func (ts turns) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, t := range ts {
		if t.repairs {
			continue
		}
		if err := t.untilDone(ctx); err != nil {
			return fmt.Errorf("%s was not done after %s; orders that were answered are in SQL, their shipping and mail may be late: %w", t.name, limit, err)
		}
	}
	return nil
}

// logDrained says after a drain what is left for the next process: orders that nobody paid, parcels that the carrier did not take, mails
// that were not accepted.
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

func (t turn) untilDone(ctx context.Context) error {
	for {
		n, err := t.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && n == 0 {
			return nil
		}
	}
}
