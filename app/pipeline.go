package app

import (
	"context"
	"os"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/pipeline"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
)

// watchPipeline makes the recorder of this process, and the service that shows all processes. One with the embedded Redis is the whole shop; one
// without Redis is not shown.
func (a *App) watchPipeline() {
	deps := a.deps
	var board *pipeline.Board
	if deps.redis != nil && !a.cfg.Redis.embedded() {
		board = pipeline.NewBoard(a.cfg.Redis.Namespace, deps.redis, deps.policies[breaker.Journal])
	}
	host, _ := os.Hostname() // Without a name it is told apart by its id.
	a.recorder = pipeline.NewRecorder(pipeline.RecorderConfig{
		Role: string(a.cfg.Role), Host: host, Stages: pipeline.StagesOf(a.cfg.Workers, a.cfg.serving(serviceCheckout)),
		Series: a.telemetry.Series, Breakers: deps.policies.States, Board: board, Log: a.log,
	})
	if !a.cfg.serving(serviceOps) {
		return
	}
	reads := deps.db.Reads()
	src := pipeline.Sources{
		Partition: partition, Report: a.recorder.Latest, Epoch: deps.epochs.Current, OpenEpoch: store.NewStock(reads).OpenEpoch,
		Readers: deps.journal.Readers, Backlog: store.NewBacklogs(reads).Read, DeadLetters: store.NewDeadLetters(reads).CountOpen,
		JournalLimit: int64(a.cfg.Orders.limits(a.cfg.Redis.embedded()).JournalMax), Log: a.log,
	}
	if board != nil {
		src.Reports = board.Reports
	}
	a.api.ops = server.NewOps(server.DefaultOpsConfig(), pipeline.NewViewer(src).View)
	a.api.services.Ops = a.api.ops
}

// record runs the recorder. stop ends it, and returns when the process is off the board.
func (a *App) record(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	recorded := make(chan struct{})
	go func() { defer close(recorded); a.recorder.Run(ctx) }()
	return func() { cancel(); <-recorded }
}
