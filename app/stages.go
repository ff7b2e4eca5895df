package app

import (
	"context"
	"log/slog"
	"time"
)

// stages logs at level debug how long each part of the start took.
type stages struct {
	log   *slog.Logger
	began time.Time // when the current stage began
}

func newStages(log *slog.Logger) *stages { return &stages{log: log, began: time.Now()} }

// done logs the stage that has ended; the next one begins.
func (s *stages) done(ctx context.Context, stage string) {
	now := time.Now()
	s.log.DebugContext(ctx, "stage of the start finished", "stage", stage, "duration", now.Sub(s.began))
	s.began = now
}
