package read_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
	"github.com/spillway/spillway/test/leaks"
)

func TestMain(m *testing.M) { leaks.Verify(m) }

var some = []queue.Message{{ID: "1"}}

func keep(t *testing.T) func(context.Context, []queue.Message) {
	t.Helper()
	return func(_ context.Context, m []queue.Message) { t.Errorf("%d messages were released", len(m)) }
}

func TestCalls_Do(t *testing.T) {
	t.Parallel()
	calls := read.NewCalls()
	got, err := calls.Do(t.Context(), func(context.Context) ([]queue.Message, error) { return some, nil }, keep(t))
	if err != nil || len(got) != 1 {
		t.Errorf("Do = %v, %v", got, err)
	}
	if err := calls.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := calls.Do(t.Context(), nil, keep(t)); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
}

func TestCalls_LateMessagesAreReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := read.NewCalls()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		released := make(chan []queue.Message, 1)
		start := time.Now()
		_, err := calls.Do(ctx, func(ctx context.Context) ([]queue.Message, error) {
			<-time.After(5 * time.Second)
			return some, ctx.Err()
		}, func(ctx context.Context, m []queue.Message) {
			if ctx.Err() != nil {
				t.Errorf("the context of the release has ended: %v", ctx.Err())
			}
			released <- m
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Do returned %v after %v", err, time.Since(start))
		}
		if err := calls.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if m := <-released; len(m) != 1 {
			t.Errorf("released %v", m)
		}
	})
}

func TestCalls_CloseCancelsHangingReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := read.NewCalls()
		done := make(chan error, 1)
		go func() {
			_, err := calls.Do(t.Context(), func(ctx context.Context) ([]queue.Message, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}, keep(t))
			done <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := calls.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Do: %v", err)
		}
		if err := calls.Close(ctx); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

func TestBackoff_GrowsToMaximumAndResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var backoff read.Backoff
		var last time.Duration
		for range 20 {
			backoff.Record(t.Context(), errors.New("down"))
			start := time.Now()
			if err := backoff.Wait(t.Context()); err != nil {
				t.Fatalf("Wait: %v", err)
			}
			last = time.Since(start)
		}
		if last < time.Second || last > 2*time.Second {
			t.Errorf("the 20th pause took %v, want 1 s to 2 s", last)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		backoff.Record(ended, errors.New("the caller went"))
		if err := backoff.Wait(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait with an ended context: %v", err)
		}
		backoff.Record(t.Context(), nil)
		start := time.Now()
		if err := backoff.Wait(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("Wait after a success took %v: %v", time.Since(start), err)
		}
	})
}
