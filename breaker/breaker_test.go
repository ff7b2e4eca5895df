package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/breaker"
)

// fakeBreaker refuses permits with an error, if it has one, and records what is reported.
type fakeBreaker struct {
	refusal  error
	permits  int
	reported []error
}

func (b *fakeBreaker) Permit() error {
	if b.refusal == nil {
		b.permits++
	}
	return b.refusal
}
func (b *fakeBreaker) Report(err error) { b.reported = append(b.reported, err) }

var errDown = errors.New("down")

// hang is a dependency that never responds.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestDo_ReportsOnlyFailuresOfTheDependency(t *testing.T) {
	const timeout = time.Second
	returns := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	for name, c := range map[string]struct {
		deadline time.Duration
		call     func(context.Context) error
		want     error
	}{
		"success":                        {time.Hour, returns(nil), nil},
		"failure":                        {time.Hour, returns(errDown), errDown},
		"hangs for the whole timeout":    {time.Hour, hang, context.DeadlineExceeded},
		"hangs for most of the timeout":  {timeout * 9 / 10, hang, context.DeadlineExceeded},
		"caller with 1 ms":               {time.Millisecond, hang, breaker.ErrCallerLeft},
		"caller with less than half":     {timeout / 3, hang, breaker.ErrCallerLeft},
		"failure before a tiny deadline": {time.Millisecond, returns(errDown), errDown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBreaker{}
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				err := breaker.Do(ctx, b, timeout, c.call)
				if len(b.reported) != 1 || !errors.Is(b.reported[0], c.want) {
					t.Errorf("reported %v; want %v", b.reported, c.want)
				}
				if (err == nil) != (c.want == nil) {
					t.Errorf("returned %v", err)
				}
			})
		})
	}
}

func TestDo_EndedContextTakesNoPermit(t *testing.T) {
	b := &fakeBreaker{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := breaker.Do(ctx, b, time.Second, func(context.Context) error { t.Error("called"); return nil })
	if !errors.Is(err, breaker.ErrCallerLeft) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if b.permits != 0 || len(b.reported) != 0 {
		t.Errorf("%d permits, reports %v", b.permits, b.reported)
	}
}

func TestDo_OpenBreakerCallsNothing(t *testing.T) {
	b := &fakeBreaker{refusal: errDown}
	err := breaker.Do(t.Context(), b, time.Second, func(context.Context) error { t.Error("called"); return nil })
	if !errors.Is(err, errDown) || len(b.reported) != 0 {
		t.Errorf("got %v, reported %v", err, b.reported)
	}
}

// TestDoDetached_CallerContextEnds checks that the call goes on, because its connection is shared with other callers.
func TestDoDetached_CallerContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBreaker{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		began := time.Now()
		err := breaker.DoDetached(ctx, b, new(breaker.SharedTimeout), time.Second, func(ctx context.Context) error {
			<-time.After(100 * time.Millisecond)
			return ctx.Err()
		})
		if err != nil || b.reported[0] != nil {
			t.Errorf("got %v, reported %v", err, b.reported)
		}
		if err := breaker.DoDetached(ctx, b, new(breaker.SharedTimeout), time.Second, hang); !errors.Is(err, breaker.ErrCallerLeft) || len(b.reported) != 1 {
			t.Errorf("after its caller left: %v, reported %v", err, b.reported)
		}
		err = breaker.DoDetached(t.Context(), b, new(breaker.SharedTimeout), time.Second, hang)
		if !errors.Is(err, context.DeadlineExceeded) || b.reported[1] == nil {
			t.Errorf("hanging: %v, reported %v", err, b.reported)
		}
		if took, want := time.Since(began), 100*time.Millisecond+time.Second+time.Second/16; took != want {
			t.Errorf("took %s; want %s: the first call, and the timeout with its slack", took, want)
		}
	})
}

func TestDo_PanicIsReported(t *testing.T) {
	b := &fakeBreaker{}
	func() {
		defer func() { _ = recover() }()
		_ = breaker.Do(t.Context(), b, time.Second, func(context.Context) error { panic("in the middle") })
	}()
	if len(b.reported) != 1 || b.reported[0] == nil {
		t.Errorf("reported %v", b.reported)
	}
}

// TestDoBlocking_CallerLeavesWhileBlocked checks that a reader that leaves while it waits for messages is no failure of the broker.
func TestDoBlocking_CallerLeavesWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBreaker{}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_ = breaker.DoBlocking(ctx, b, time.Second, 5*time.Second, hang)
		began := time.Now()
		_ = breaker.DoBlocking(t.Context(), b, time.Second, 5*time.Second, hang)
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("a call to a broker that hangs took %s; want 6s", took)
		}
		if !errors.Is(b.reported[0], breaker.ErrCallerLeft) || !errors.Is(b.reported[1], context.DeadlineExceeded) {
			t.Errorf("reported %v", b.reported)
		}
	})
}

// TestDoLocal_CallersThatLeaveEarlyAreNoFailures checks that DoLocal classifies the end of the caller's context as Do does, and does not end
// the call itself.
func TestDoLocal_CallersThatLeaveEarlyAreNoFailures(t *testing.T) {
	const timeout = time.Second
	for name, c := range map[string]struct {
		deadline time.Duration
		want     error
	}{
		"left early":            {timeout / 3, breaker.ErrCallerLeft},
		"most of the timeout":   {timeout * 9 / 10, context.DeadlineExceeded},
		"longer than a timeout": {3 * timeout, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, began := &fakeBreaker{}, time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
				defer cancel()
				if err := breaker.DoLocal(ctx, b, timeout, hang); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("returned %v", err)
				}
				if len(b.reported) != 1 || !errors.Is(b.reported[0], c.want) || time.Since(began) != c.deadline {
					t.Errorf("reported %v after %s; want %v after %s", b.reported, time.Since(began), c.want, c.deadline)
				}
			})
		})
	}
}

// stubBreaker permits every call and records nothing.
type stubBreaker struct{}

func (stubBreaker) Permit() error { return nil }
func (stubBreaker) Report(error)  {}

func TestDo_AllocatesNoMoreThanItsContext(t *testing.T) {
	ctx, n := t.Context(), 0
	plain := testing.AllocsPerRun(1000, func() {
		_, cancel := context.WithTimeout(ctx, time.Second)
		cancel()
	})
	var shared breaker.SharedTimeout
	for name, c := range map[string]struct {
		call func()
		most float64
	}{
		"detached": {func() {
			_ = breaker.DoDetached(ctx, stubBreaker{}, &shared, time.Second, func(context.Context) error { n++; return nil })
		}, 1},
		"local": {func() {
			_ = breaker.DoLocal(ctx, stubBreaker{}, time.Second, func(context.Context) error { n++; return nil })
		}, 0},
	} {
		if got := testing.AllocsPerRun(1000, c.call); got > c.most {
			t.Errorf("a %s call costs %v allocations; want at most %v", name, got, c.most)
		}
	}
	guarded := testing.AllocsPerRun(1000, func() {
		_ = breaker.Do(ctx, stubBreaker{}, time.Second, func(context.Context) error { n++; return nil })
	})
	if guarded > plain {
		t.Errorf("a guarded call costs %v allocations, its context alone %v", guarded, plain)
	}
}
