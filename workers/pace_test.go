package workers_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/workers"
)

// TestPace_LingersAfterABatchThatIsNotFull: after a full batch there is more to do, after none there is nothing to wait with, and after an
// error the loop has its own backoff.
func TestPace_LingersAfterABatchThatIsNotFull(t *testing.T) {
	for name, c := range map[string]struct {
		n    int
		err  error
		want time.Duration
	}{
		"some": {1, nil, 50 * time.Millisecond}, "all but one": {9, nil, 50 * time.Millisecond}, "full": {10, nil, 0},
		"more than one batch": {12, nil, 0}, "none": {0, nil, 0}, "error": {3, errDown, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			pace := workers.Pace{Linger: 50 * time.Millisecond}
			run := pace.Paced(10, func(context.Context) (int, error) { return c.n, c.err })
			_, _ = run(t.Context())
			begun := time.Now()
			_, _ = run(t.Context())
			if got := time.Since(begun); got != c.want {
				t.Errorf("%s: waited %s; want %s", name, got, c.want)
			}
		})
	}
}

func TestPace_LingeringEndsWithTheContext(t *testing.T) {
	pace := workers.Pace{Linger: time.Hour}
	run := pace.Paced(10, func(context.Context) (int, error) { return 1, nil })
	ctx, cancel := context.WithCancel(t.Context())
	_, _ = run(ctx)
	cancel()
	_, _ = run(ctx)
}

func TestPace_MarksActivityWhenItDidWork(t *testing.T) {
	var a workers.Activity
	n := 0
	run := workers.Pace{Activity: &a}.Paced(10, func(context.Context) (int, error) { return n, nil })
	if _, _ = run(t.Context()); a.Active(time.Hour) {
		t.Error("active after an iteration that found nothing")
	}
	n = 1
	if _, _ = run(t.Context()); !a.Active(time.Hour) {
		t.Error("not active after an iteration that did work")
	}
}
