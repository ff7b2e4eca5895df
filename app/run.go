package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/store"
)

// Run sets up the garbage collector, unless the environment does, and runs the role until ctx ends; it can be called once.
// Then it takes no more requests and completes those under way; with an embedded Redis,
// which ends with the process, the workers finish what is in the journal and the queue before it returns.
func (a *App) Run(ctx context.Context) error {
	tuneMemory(os.DirFS("/"))
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if a.deps.epochs != nil {
		a.deps.goBackground(work, a.deps.epochs.Run)
	}
	if a.issuer != nil {
		a.deps.goBackground(work, a.issuer.Run)
	}
	if a.api.rates != nil {
		a.deps.goBackground(work, a.api.rates.Run)
	}
	if a.cfg.External.Outages != "" {
		a.deps.goBackground(work, a.api.outages.run)
	}
	if a.admin != nil {
		a.deps.goBackground(work, a.serveAdmin)
		a.log.InfoContext(ctx, "serving metrics", "url", a.AdminURL(), "profiles", a.servesProfiles())
	}
	if interval := a.cfg.Audit.Interval; interval > 0 {
		a.deps.goBackground(work, func(ctx context.Context) {
			audit.RunPeriodically(ctx, store.NewAudits(a.deps.db), interval, audit.Options{Provider: a.api.audited}, a.log)
		})
	}
	loops, stopLoops := context.WithCancel(work)
	defer stopLoops()
	running := a.workers.run(loops, a.deps.measured)
	stopRecording := a.record(work)
	defer stopRecording()
	var err error
	switch {
	case a.listener != nil:
		err = a.serve(ctx)
	case a.internal != nil:
		err = a.serveInternal(ctx)
	default:
		a.log.InfoContext(ctx, "working", "workers", strings.Join(a.cfg.Workers, ","))
		<-ctx.Done()
	}
	stopLoops()
	return errors.Join(err, a.finish(work, running))
}

// finish waits for the iterations that have begun and, with an embedded Redis, drains. A worker that is still in an iteration must not begin another one; what
// it waits for would hold up the drain as well.
func (a *App) finish(ctx context.Context, running *sync.WaitGroup) error {
	if err := a.awaitWorkers(ctx, running); err != nil || !a.cfg.embedded() {
		return err
	}
	return a.drain(ctx)
}

// workersTimeout bounds how long a shutdown waits for iterations that have begun. Their contexts have ended; what they wait for has time
// limits of 10 s at most.
const workersTimeout = 20 * time.Second

// awaitWorkers waits for the iterations that have begun.
func (a *App) awaitWorkers(ctx context.Context, running *sync.WaitGroup) error {
	a.log.InfoContext(ctx, "shutting down: waiting for the iterations of workers to end",
		"workers", len(a.workers), "deadline", time.Now().Add(workersTimeout))
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(workersTimeout):
		return fmt.Errorf("the workers did not end within %s", workersTimeout)
	}
}

// drain empties the journal, and the queue unless that is RocketMQ.
func (a *App) drain(ctx context.Context) error {
	limit := a.cfg.HTTP.DrainTimeout
	a.log.InfoContext(ctx, "shutting down: waiting for the workers to empty the journal and the queue of the process", "deadline", time.Now().Add(limit))
	if err := a.drained().drain(ctx, limit); err != nil {
		return err
	}
	if a.cfg.Queue.RocketMQ != "" {
		a.log.InfoContext(ctx, "the journal is empty: every order is in SQL; RocketMQ has what is still to be shipped and mailed")
		return nil
	}
	logDrained(ctx, a.log, store.NewOrders(a.deps.db).Unfinished)
	return nil
}

// drained returns the workers that are drained: all if the queue ends with the process. Otherwise it returns those that empty the journal and, unless the
// flusher writes the rows, one order writer, because the queue must not have the only copy of an order: the others would each wait for a message that does
// not come.
func (a *App) drained() workerSet {
	if a.cfg.Queue.RocketMQ == "" {
		return a.workers
	}
	var out workerSet
	for _, name := range []string{workerFlusher, workerRelay, workerWriter} {
		i := slices.IndexFunc(a.workers, func(w worker) bool { return w.name == name })
		if i >= 0 && (name != workerWriter || !a.deps.flush.WithOrders) {
			out = append(out, a.workers[i])
		}
	}
	return out
}
