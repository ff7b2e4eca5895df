package workers_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/workers"
)

// stubBrokenConsumer never receives.
type stubBrokenConsumer struct{ *fakeConsumer }

func (stubBrokenConsumer) Receive(context.Context, int, time.Duration) ([]queue.Message, error) {
	return nil, queue.ErrUnavailable
}

// fakeTimedConsumer records when Receive was called, and fails the first times.
type fakeTimedConsumer struct {
	*fakeConsumer
	mu    sync.Mutex
	fails int
	times []time.Time
}

func (c *fakeTimedConsumer) Receive(ctx context.Context, most int, lease time.Duration) ([]queue.Message, error) {
	c.mu.Lock()
	c.times = append(c.times, time.Now())
	fails := len(c.times) <= c.fails
	c.mu.Unlock()
	if fails {
		return nil, queue.ErrUnavailable
	}
	return c.fakeConsumer.Receive(ctx, most, lease)
}

// TestLoop_BackoffIsBounded counts the iterations of ten minutes in which the queue is unavailable.
func TestLoop_BackoffIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, m := freshOrder(), &fakeCountingMailClient{}
		c := &fakeTimedConsumer{fakeConsumer: newFakeConsumer(settledBody(o)), fails: 30}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			newMailer(c, &fakeDeadLetters{}, m).Run(ctx)
		}()
		<-time.After(10 * time.Minute) // By the bubble's clock.
		stop()
		<-done
		if m.attempts[o.ID] != 1 {
			t.Fatalf("%d mails were sent after the queue came back; want 1", m.attempts[o.ID])
		}
		first, longest := c.times[1].Sub(c.times[0]), time.Duration(0)
		for i := 1; i <= c.fails; i++ {
			longest = max(longest, c.times[i].Sub(c.times[i-1]))
		}
		if first > 100*time.Millisecond || longest < 2*time.Second || longest > 5*time.Second {
			t.Errorf("the first pause was %s, the longest %s; want them to grow to 5 s at most", first, longest)
		}
		// Idle iterations pause too; otherwise a queue that does not block would use a whole core.
		last := len(c.times) - 1
		if idle := c.times[last].Sub(c.times[last-1]); idle < 10*time.Millisecond || idle > time.Second {
			t.Errorf("idle iterations are %s apart", idle)
		}
	})
}

// TestPoll_SomeSuccessEndsTheGrowthOfTheBackoff: a payment provider that works every other second is used while it works.
func TestPoll_SomeSuccessEndsTheGrowthOfTheBackoff(t *testing.T) {
	const done, each = 1000, 10
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began, left := time.Now(), done
		workers.Poll(ctx, slog.New(slog.DiscardHandler), time.Millisecond, func(context.Context) (int, error) {
			if time.Since(began)/time.Second%2 == 0 {
				return 0, order.ErrUnavailable
			}
			if left -= each; left <= 0 {
				stop()
			}
			return each, order.ErrUnavailable // The others of the batch failed.
		})
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%d orders took %s; want less than a minute", done, took)
		}
	})
}

// TestPollRecovery_PausesAfterPartsOfABatch: what was repaired stays listed for a while.
func TestPollRecovery_PausesAfterPartsOfABatch(t *testing.T) {
	for name, err := range map[string]error{"a part": nil, "a part, and the others failed": order.ErrUnavailable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				iterations := 0
				workers.PollRecovery(ctx, slog.New(slog.DiscardHandler), func(context.Context) (int, error) {
					iterations++
					return 1, err
				})
				if iterations < 50 || iterations > 61 {
					t.Errorf("%d iterations within a minute; want one a second", iterations)
				}
			})
		})
	}
}
