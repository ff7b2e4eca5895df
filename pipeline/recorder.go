package pipeline

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spillway/spillway/telemetry"
)

const (
	// Interval is the time between two reports of a process.
	Interval = time.Second
	// Window is the time over which rates are means: long enough that batches of the flusher do not show as waves.
	Window = 5 * time.Second
	// publishTimeout bounds one publishing, so that it is done before the next one.
	publishTimeout = 900 * time.Millisecond
)

// RecorderConfig describes the process.
type RecorderConfig struct {
	Role, Host string
	// Stages are those that the process runs.
	Stages []Stage
	// Series reads the metrics of the process.
	Series func(ctx context.Context) ([]telemetry.Series, error)
	// Breakers returns the states of its breakers by name.
	Breakers func() map[string]string
	// Board is where reports are published; nil for a process that is the whole shop.
	Board *Board
	Log   *slog.Logger
}

// Recorder makes the reports of this process, from its metrics. It is safe for concurrent use.
type Recorder struct {
	cfg  RecorderConfig
	self Report // without figures
	now  func() time.Time

	mu       sync.Mutex
	readings []reading // of the last Window, oldest first
	latest   Report
}

// NewRecorder makes a recorder. It needs Run.
func NewRecorder(cfg RecorderConfig) *Recorder {
	r := &Recorder{cfg: cfg, now: time.Now}
	r.self = Report{ID: rand.Text(), Role: cfg.Role, Host: cfg.Host, StartedAt: r.now().UTC()}
	r.latest = r.self
	return r
}

// Run makes a report at each Interval, and publishes it, until ctx ends. Then it removes the process from the board.
func (r *Recorder) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		r.record(ctx)
		r.publish(ctx)
		select {
		case <-ctx.Done():
			r.withdraw(ctx)
			return
		case <-tick.C:
		}
	}
}

// Latest returns the newest report of this process.
func (r *Recorder) Latest() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
}

// record reads the metrics and makes a report of them and of those a Window ago.
func (r *Recorder) record(ctx context.Context) {
	series, err := r.cfg.Series(telemetry.Locally(ctx))
	if err != nil {
		r.cfg.Log.DebugContext(ctx, "failed to read the metrics of this process", "error", err)
		return
	}
	now := read(r.now(), series)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readings = append(r.readings, now)
	// The first one is at least a Window old, if there is any that old.
	for len(r.readings) > 1 && now.at.Sub(r.readings[1].at) >= Window {
		r.readings = slices.Delete(r.readings, 0, 1)
	}
	r.latest = r.report(r.readings[0], now)
}

func (r *Recorder) report(from, to reading) Report {
	out := r.self
	out.Breakers, out.Audit = r.cfg.Breakers(), to.audit
	if out.Audit != nil {
		slices.Sort(out.Audit.Rules)
	}
	out.Stages = make(map[Stage]Figures, len(r.cfg.Stages))
	for _, s := range r.cfg.Stages {
		out.Stages[s] = between(from.stages[s], to.stages[s], to.at.Sub(from.at))
	}
	return out
}

func (r *Recorder) publish(ctx context.Context) {
	if r.cfg.Board == nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := r.cfg.Board.Publish(ctx, r.Latest()); err != nil && ctx.Err() == nil {
		// The epoch keeper logs what is wrong with Redis, once.
		r.cfg.Log.DebugContext(ctx, "failed to publish the figures of this process", "error", err)
	}
}

func (r *Recorder) withdraw(ctx context.Context) {
	if r.cfg.Board == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if err := r.cfg.Board.Withdraw(ctx, r.self.ID); err != nil {
		r.cfg.Log.DebugContext(ctx, "failed to withdraw the figures of this process; they expire", "error", err)
	}
}
