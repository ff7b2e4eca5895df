package workers_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/workers"
)

// stubLoad is an API with a number of requests in progress, and a journal with a length.
type stubLoad struct {
	inFlight, length atomic.Int64
	err              error
	reads            int
}

func (l *stubLoad) InFlight() int { return int(l.inFlight.Load()) }

func (l *stubLoad) Length(context.Context) (int64, error) {
	l.reads++
	return l.length.Load(), l.err
}

func nothing(context.Context) (int, error) { return 0, nil }

// TestYield_Pauses measures the pause before one iteration, by a stubbed clock.
func TestYield_Pauses(t *testing.T) {
	for name, c := range map[string]struct {
		inFlight, length int64
		err              error
		busyFor, want    time.Duration
	}{
		"idle":                               {inFlight: 0, want: 0},
		"below the threshold":                {inFlight: 15, busyFor: time.Hour, want: 0},
		"busy":                               {inFlight: 16, length: 50, busyFor: time.Hour, want: time.Second},
		"busy for a while":                   {inFlight: 99, busyFor: 295 * time.Millisecond, want: 300 * time.Millisecond},
		"busy, and the journal is half full": {inFlight: 99, length: 51, busyFor: time.Hour, want: 0},
		"busy, and Redis is away":            {inFlight: 99, err: errDown, busyFor: time.Hour, want: 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			load := &stubLoad{err: c.err}
			load.inFlight.Store(c.inFlight)
			load.length.Store(c.length)
			var a workers.Activity
			run := workers.Pace{Yield: workers.NewYield(workers.DefaultYieldConfig(100), load, load), Activity: &a}.Paced(10, nothing)
			ends := time.AfterFunc(c.busyFor, func() { load.inFlight.Store(0) })
			defer ends.Stop()
			begun := time.Now()
			_, _ = run(t.Context())
			if got := time.Since(begun); got != c.want {
				t.Errorf("%s: paused for %s; want %s", name, got, c.want)
			}
			if a.Active(time.Hour) != (c.want > 0) {
				t.Errorf("%s: the order path is active: %v", name, a.Active(time.Hour))
			}
			if most := 1 + int(c.want/(100*time.Millisecond)); load.reads > most {
				t.Errorf("%s: the journal's length was read %d times; want at most %d", name, load.reads, most)
			}
		})
	}
}

// TestYield_ShareOfTheTime: under a load that does not end, the pauses of a worker take their share of its time, and not a second before each
// iteration, however short that is. A worker that was idle may pause for as long as a new one.
func TestYield_ShareOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := &stubLoad{}
		load.inFlight.Store(99)
		const work, iterations = 100 * time.Millisecond, 100
		run := workers.Pace{Yield: workers.NewYield(workers.DefaultYieldConfig(100), load, load)}.Paced(10, func(context.Context) (int, error) {
			<-time.After(work)
			return 10, nil
		})
		begun := time.Now()
		for range iterations {
			_, _ = run(t.Context())
		}
		took := time.Since(begun)
		if most := 4*iterations*work + 4*time.Second; took > most || took < 3*iterations*work {
			t.Errorf("%d iterations of %s took %s; want about four times as long, and at most %s", iterations, work, took, most)
		}
		<-time.After(time.Minute)
		begun = time.Now()
		_, _ = run(t.Context())
		if got := time.Since(begun) - work; got != time.Second {
			t.Errorf("after a minute it paused for %s; want %s", got, time.Second)
		}
	})
}

func TestYield_EndsWithTheContext(t *testing.T) {
	load := &stubLoad{}
	load.inFlight.Store(99)
	cfg := workers.DefaultYieldConfig(100)
	cfg.MaxPause = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = workers.Pace{Yield: workers.NewYield(cfg, load, load)}.Paced(10, nothing)(ctx)
}

// TestYield_BurstIsAcceptedFirstAndThenDrained: a flusher on a real journal does nothing while the API is busy and the journal short. It flushes
// at full speed beyond its share, and after the burst.
func TestYield_BurstIsAcceptedFirstAndThenDrained(t *testing.T) {
	s := openShop(t, openSQLite(t))
	load := &stubLoad{}
	load.inFlight.Store(99)
	cfg := workers.DefaultYieldConfig(20) // Full speed beyond 10 entries.
	cfg.MaxPause = time.Hour
	f := s.flusher(s.sql).WithPace(workers.Pace{Yield: workers.NewYield(cfg, load, s.journal)})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.Run(ctx) })
	defer func() { stop(); wg.Wait() }()
	for range 10 {
		s.reserve(t, freshOrder())
	}
	<-time.After(20 * briefly) // Nothing happens meanwhile.
	s.wantStock(t, 100, 100)
	last := s.reserve(t, freshOrder())
	wait, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.progress.Wait(wait, last, ""); err != nil {
		t.Errorf("it was not flushed although the journal has more than its share: %v", err)
	}
	s.wantStock(t, 78, 89)
	if n, err := s.journal.Length(t.Context()); n != 11 || err != nil {
		t.Errorf("the journal has %d entries (%v); want 11, because the relay has trimmed none", n, err)
	}
}
