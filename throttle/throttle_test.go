package throttle_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/throttle"
)

func TestInterval_OnceInEach(t *testing.T) {
	t.Parallel()
	var i throttle.Interval
	start := time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {time.Minute - 1, false}, {time.Minute, true}, {2*time.Minute - 1, false}, {5 * time.Minute, true}} {
		if got := i.Due(start.Add(step.after), time.Minute); got != step.want {
			t.Errorf("after %s: %t; want %t", step.after, got, step.want)
		}
	}
}

func TestInterval_OneOfManyCallers(t *testing.T) {
	t.Parallel()
	var i throttle.Interval
	var due atomic.Int64
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if i.Due(time.Unix(1_800_000_000, 0), time.Minute) {
				due.Add(1)
			}
		})
	}
	callers.Wait()
	if n := due.Load(); n != 1 {
		t.Errorf("it was due for %d callers; want 1", n)
	}
}
