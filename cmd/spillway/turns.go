package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
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
func (ts turns) drain(ctx context.Context, limit time.Duration, log *slog.Logger) error {
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
	log.InfoContext(ctx, "journal and queue are empty: every order is in SQL, shipped and confirmed")
	return nil
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
