package read

import (
	"context"
	"fmt"
	"sync"

	"github.com/spillway/spillway/queue"
)

// Calls are the reads of one consumer that are under way. A broker that was asked for messages may have handed them
// out by the time the caller loses interest; dropping them then would hide them until their lease has run out. So a
// read is always seen through to its own, bounded end, and what it brings too late is released.
type Calls struct {
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// NewCalls makes an empty set.
func NewCalls() *Calls {
	ctx, cancel := context.WithCancel(context.Background())
	return &Calls{base: ctx, cancel: cancel}
}

// Enter counts a call that Close waits for; leave ends it. The context that it returns ends with ctx, and when Close
// gives up. It fails with queue.ErrClosed after Close.
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

// Closing is done once Close gave up waiting.
func (c *Calls) Closing() context.Context { return c.base }

// Do runs read, whose context does not end with its caller's, but when Close gives up. When ctx ends first, Do returns
// its error, and what read brings later goes to release.
func (c *Calls) Do(ctx context.Context,
	read func(context.Context) ([]queue.Message, error), release func(context.Context, []queue.Message),
) ([]queue.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The values of ctx stay, for traces.
	detached, leave, err := c.Enter(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	type result struct {
		messages []queue.Message
		err      error
	}
	// Unbuffered: a result is either taken by the caller or known not to have been.
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

// Close refuses new calls and waits for those under way until ctx ends; then it cancels them, waits for that, and
// returns the error. Further calls return nil.
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
		err = fmt.Errorf("reads from the queue were cut off: %w", ctx.Err())
	}
	c.cancel()
	<-done
	return err
}
