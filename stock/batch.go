package stock

import (
	"context"
	"slices"
	"sync"

	"github.com/spillway/spillway/order"
)

const (
	// maxBatch bounds the orders of one call to Redis, which does nothing else meanwhile: about 20 µs an order of one line.
	maxBatch = 64
	// maxBatchLines bounds their lines. One order has at most order.MaxLines, and gets a call of its own if it has more than the rest.
	maxBatchLines = 200
	// maxWaiting bounds the callers that wait for a call: more than all classes of calls admit together.
	maxWaiting = 4096
)

// batcher lets concurrent callers share the calls of one script. What waits while one call is under way forms the next one, so a lone caller
// waits for no one, and many wait for one call before their own. It is safe for concurrent use.
type batcher[T batchable[T]] struct {
	// run calls the script for all of the items, and sets the reply or the error of each. It must not keep the slice.
	run func(calls []*batchCall[T])

	mu      sync.Mutex
	running bool
	waiting []*batchCall[T]
	// calling are the calls of the run that is under way.
	calling []*batchCall[T]
	// pool has calls that no run refers to.
	pool sync.Pool
}

// batchable is an item of a batch.
type batchable[T any] interface {
	// sharesCall reports whether the item may be in one call with the other one.
	sharesCall(with T) bool
	// lines is the size of the item.
	lines() int
}

// batchCall is one caller's part of a call.
type batchCall[T any] struct {
	item  T
	reply []string
	err   error
	// done has room for one value, so that run never waits for a caller.
	done chan struct{}
}

// do runs the script for the item, together with others. When ctx ends first, the script may run all the same.
func (b *batcher[T]) do(ctx context.Context, item T) ([]string, error) {
	c := b.call(item)
	first, err := b.enqueue(c)
	if err != nil {
		return nil, err
	}
	if first {
		b.runOnce() // Its own call, without another goroutine.
	}
	select {
	case <-c.done:
		return b.result(c)
	case <-ctx.Done():
		b.leave(c)
	}
	select {
	case <-c.done: // Both at once.
		return b.result(c)
	default:
		return nil, ctx.Err() // The call is not used again: a run may still set its reply.
	}
}

// result returns the result of a call that is done.
func (b *batcher[T]) result(c *batchCall[T]) ([]string, error) {
	reply, err := c.reply, c.err
	*c = batchCall[T]{done: c.done}
	b.pool.Put(c)
	return reply, err
}

func (b *batcher[T]) call(item T) *batchCall[T] {
	c, ok := b.pool.Get().(*batchCall[T])
	if !ok {
		c = &batchCall[T]{done: make(chan struct{}, 1)}
	}
	c.item = item
	return c
}

// enqueue adds the call. first means that no run is under way and that the caller must run.
func (b *batcher[T]) enqueue(c *batchCall[T]) (first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) >= maxWaiting {
		return false, order.Refuse(order.ErrOverloaded, order.ReasonTooManyCalls, "%d orders wait for Redis, which is the limit of this server", maxWaiting)
	}
	b.waiting = append(b.waiting, c)
	first = !b.running
	b.running = true
	return first, nil
}

// leave removes a call that waits. One that is under way goes on.
func (b *batcher[T]) leave(c *batchCall[T]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, c); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

// runOnce runs one call for what waits. What waits afterwards is left to a goroutine.
func (b *batcher[T]) runOnce() {
	defer func() { // Also after a panic: the others must not wait for it.
		if b.hasMore() {
			go b.runAll()
		}
	}()
	b.runNext()
}

// runAll runs calls until none waits.
func (b *batcher[T]) runAll() {
	for {
		b.runNext()
		if !b.hasMore() {
			return
		}
	}
}

func (b *batcher[T]) runNext() {
	calls := b.take()
	if len(calls) == 0 { // All of them left.
		return
	}
	b.run(calls)
	for _, c := range calls {
		c.done <- struct{}{}
	}
}

// take moves the calls of the next run from those that wait.
func (b *batcher[T]) take() []*batchCall[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, lines := 0, 0
	for ; n < min(len(b.waiting), maxBatch); n++ {
		lines += b.waiting[n].item.lines()
		if n > 0 && (lines > maxBatchLines || !b.waiting[n].item.sharesCall(b.waiting[0].item)) {
			break
		}
	}
	b.calling = append(b.calling[:0], b.waiting[:n]...)
	b.waiting = slices.Delete(b.waiting, 0, n)
	return b.calling
}

// hasMore reports whether another run is needed. If not, the next caller runs.
func (b *batcher[T]) hasMore() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.calling)
	b.calling = b.calling[:0]
	b.running = len(b.waiting) > 0
	return b.running
}
