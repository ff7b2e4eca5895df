package sqlmode

import (
	"context"
	"fmt"
	"sync"

	"github.com/spillway/spillway/order"
)

const (
	// maxBatch bounds the steps of one transaction, and maxBatchLines their lines: the lock of the epoch is held for some 20 ms.
	maxBatch      = 200
	maxBatchLines = 400
	// maxWaiting bounds the steps that wait for a transaction: more than all classes of calls admit together.
	maxWaiting = 4096
)

// batcher lets concurrent steps share transactions. What waits while one transaction is under way forms the next one.
type batcher struct {
	// run takes the steps, which belong to one epoch, and sets their results.
	run func(steps []*step)

	mu      sync.Mutex
	running bool
	waiting []*step
}

// do takes the step together with others. When ctx ends first, the step may be taken all the same.
func (b *batcher) do(ctx context.Context, s *step) error {
	s.done = make(chan struct{}, 1)
	if err := b.enqueue(s); err != nil {
		return err
	}
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("the step was not taken in time: %w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, ctx.Err())
	}
}

func (b *batcher) enqueue(s *step) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxWaiting {
		return order.Refuse(order.ErrOverloaded, order.ReasonTooManyCalls, "%d steps wait for SQL, which is the limit of this server", maxWaiting)
	}
	b.waiting = append(b.waiting, s)
	if !b.running {
		b.running = true
		go b.runAll()
	}
	return nil
}

// runAll runs batches until none waits.
func (b *batcher) runAll() {
	for {
		steps := b.next()
		if len(steps) == 0 {
			return
		}
		b.run(steps)
		for _, s := range steps {
			s.done <- struct{}{}
		}
	}
}

// next removes the next batch: the steps of one epoch, up to the bounds.
func (b *batcher) next() []*step {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, lines := 0, 0
	for n < len(b.waiting) && n < maxBatch && b.waiting[n].epoch.Number == b.waiting[0].epoch.Number {
		if lines += b.waiting[n].lines(); n > 0 && lines > maxBatchLines {
			break
		}
		n++
	}
	steps := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	b.running = n > 0
	return steps
}
