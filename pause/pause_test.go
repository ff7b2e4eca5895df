package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/pause"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := pause.For(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("paused for %s (%v); want a minute", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := pause.For(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("paused for %s (%v); want a second, until the deadline", time.Since(began), err)
		}
	})
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began, calls := time.Now(), 0
		pause.Every(ctx, time.Minute, func(context.Context) {
			if calls++; time.Since(began) != time.Duration(calls)*time.Minute {
				t.Errorf("call %d after %s", calls, time.Since(began))
			}
			if calls == 3 {
				cancel()
			}
		})
		if calls != 3 {
			t.Errorf("%d calls", calls)
		}
	})
}
