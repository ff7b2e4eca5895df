package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/breaker"
)

type testKey struct{}

func TestSharedTimeout_BetweenTimeoutAndSlack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 16 * time.Second
		var shared breaker.SharedTimeout
		for _, pause := range []time.Duration{0, 300 * time.Millisecond, 699 * time.Millisecond, time.Millisecond, time.Hour} {
			<-time.After(pause)
			began := time.Now()
			ctx := shared.Detach(t.Context(), timeout)
			if deadline, ok := ctx.Deadline(); !ok || deadline.Before(began.Add(timeout)) || deadline.After(began.Add(timeout+timeout/16)) {
				t.Errorf("deadline %s, %s after the begin", deadline, deadline.Sub(began))
			}
			go func() {
				<-ctx.Done()
				if took := time.Since(began); took < timeout || took > timeout+timeout/16 {
					t.Errorf("a call with a timeout of %s was ended after %s", timeout, took)
				}
				if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
					t.Errorf("ended with %v, cause %v", ctx.Err(), context.Cause(ctx))
				}
			}()
		}
		<-time.After(2 * timeout)
	})
}

func TestSharedTimeout_HasTheCallersValuesAndNotTheirEnd(t *testing.T) {
	var shared breaker.SharedTimeout
	caller, leave := context.WithCancel(context.WithValue(t.Context(), testKey{}, "value"))
	ctx := shared.Detach(caller, time.Hour)
	leave()
	if ctx.Err() != nil || ctx.Value(testKey{}) != "value" || ctx.Value(42) != nil {
		t.Errorf("got %v, values %v and %v", ctx.Err(), ctx.Value(testKey{}), ctx.Value(42))
	}
	other := shared.Detach(context.WithValue(t.Context(), testKey{}, "other"), time.Hour)
	if ctx.Done() != other.Done() || other.Value(testKey{}) != "other" {
		t.Error("two calls do not share the timeout, or share their values")
	}
	if short := shared.Detach(t.Context(), time.Minute); short.Done() == ctx.Done() {
		t.Error("calls with different timeouts share one")
	}
}

// TestSharedTimeout_EndsDerivedContexts checks that contexts derived from a shared one end with it.
func TestSharedTimeout_EndsDerivedContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared breaker.SharedTimeout
		caller, leave := context.WithCancel(t.Context())
		defer leave()
		derived, cancel := context.WithCancel(shared.Detach(caller, time.Second))
		defer cancel()
		began := time.Now()
		<-derived.Done()
		if took := time.Since(began); took < time.Second || took > 2*time.Second || !errors.Is(derived.Err(), context.DeadlineExceeded) {
			t.Errorf("ended after %s: %v", took, derived.Err())
		}
	})
}

func BenchmarkSharedTimeout_Detach(b *testing.B) {
	var shared breaker.SharedTimeout
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = shared.Detach(ctx, time.Second).Done()
	}
}

// BenchmarkWithTimeout is what BenchmarkSharedTimeout_Detach is compared with.
func BenchmarkWithTimeout(b *testing.B) {
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_ = bounded.Done()
		cancel()
	}
}
