package app_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/app"
)

// fakeStageLog keeps the durations of the stages that the start logs.
type fakeStageLog struct {
	slog.Handler
	total map[string]time.Duration
}

func (h *fakeStageLog) Enabled(context.Context, slog.Level) bool { return true }

func (h *fakeStageLog) Handle(_ context.Context, r slog.Record) error {
	var stage string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "stage":
			stage = strings.ReplaceAll(a.Value.String(), " ", "-")
		case "duration":
			h.total[stage] += a.Value.Duration()
		}
		return true
	})
	return nil
}

// BenchmarkApp_StartToFirstOrder starts a shop on embedded storage in an empty directory and places an order. It reports the ms of each stage.
func BenchmarkApp_StartToFirstOrder(b *testing.B) {
	stages := &fakeStageLog{Handler: slog.DiscardHandler, total: map[string]time.Duration{}}
	log := slog.New(stages)
	for range b.N {
		b.StopTimer()
		cfg := embedded(b)
		b.StartTimer()
		a, err := app.Open(b.Context(), cfg, log)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		opened := time.Now()
		go func() { ended <- a.Run(ctx) }()
		placeOrder(b, a.URL())
		stages.total["first-order"] += time.Since(opened)
		b.StopTimer()
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	for stage, total := range stages.total {
		b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), stage+"-ms/op")
	}
}
