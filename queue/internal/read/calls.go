package read

import (
	"context"
	"fmt"
	"sync"

	"github.com/spillway/spillway/queue"
)

// Calls is the set of reads in progress of one consumer. The broker may already have delivered messages to a read when
// its caller gives up; dropBroker them would hide them until their lease expires. A read therefore always runs to its
// own, bounded end, and messages that arrive too late are released.
type Calls struct {
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// NewCalls returns an empty set.
func NewCalls() *Calls {
	ctx, cancel := context.WithCancel(context.Background())
	return &Calls{base: ctx, cancel: cancel}
}

// Enter registers a call that Close waits for; leave unregisters it. The returned context ends with ctx, or when Close
// stops waiting. Enter fails with queue.ErrClosed after Close.
func (c *Calls) Enter(ctx context.Context) (within context.Context, leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, queue.ErrClosed
	}
	c.wg.Add(1)
	within, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.base, cancel)
	return within, func() { stop(); cancel(); c.wg.Done() }, nil
}

// Closing returns a context that ends when Close has stopped waiting.
func (c *Calls) Closing() context.Context { return c.base }

// Do runs read, with a context that does not end with ctx but when Close stops waiting. When ctx ends first, Do returns
// its error, and the messages that read returns later are passed to release.
func (c *Calls) Do(ctx context.Context,
	read func(context.Context) ([]queue.Message, error), release func(context.Context, []queue.Message),
) ([]queue.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The values of ctx are kept, for traces.
	detached, leave, err := c.Enter(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	type result struct {
		messages []queue.Message
		err      error
	}
	// Unbuffered: a result is either received by the caller or known not to have been.
	results := make(chan result)
	go func() {
		defer leave()
		m, err := read(detached)
		select {
		case results <- result{m, err}:
		case <-ctx.Done():
			if len(m) > 0 {
				release(detached, m)
			}
		}
	}()
	select {
	case r := <-results:
		return r.messages, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close rejects new calls and waits for those in progress until ctx ends; then it cancels them, waits for their end,
// and returns the error. Further calls return nil.
func (c *Calls) Close(ctx context.Context) error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	done := make(chan struct{})
	go func() { c.wg.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("cancelled reads from the queue: %w", ctx.Err())
	}
	c.cancel()
	<-done
	return err
}
