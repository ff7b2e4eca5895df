package app

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
)

// fakeStuckWorker is a worker whose iteration does not end until release is closed.
type fakeStuckWorker struct {
	release chan struct{}
	t       *testing.T
}

func (w fakeStuckWorker) Run(context.Context) { <-w.release }

func (w fakeStuckWorker) RunOnce(context.Context) (int, error) {
	w.t.Error("an iteration began beside one that has not ended")
	return 0, nil
}

// TestApp_FinishDoesNotDrainStuckWorkers: a worker is not safe for concurrent use.
func TestApp_FinishDoesNotDrainStuckWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := fakeStuckWorker{make(chan struct{}), t}
		a := &App{cfg: DefaultConfig(RoleAll), log: slog.New(slog.DiscardHandler), workers: workerSet{{name: workerRelay, runner: stuck}}}
		var running sync.WaitGroup
		running.Go(func() { stuck.Run(t.Context()) })
		if err := a.finish(t.Context(), &running); err == nil {
			t.Error("no error, although a worker did not end")
		}
		close(stuck.release)
	})
}
