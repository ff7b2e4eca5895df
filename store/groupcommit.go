package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/tracing"
)

// group lets concurrent callers share one commit. What waits while one commit is under way forms the next one, so a lone
// caller never waits for others, and many never wait for more than one commit before their own.
type group[T, R any] struct {
	// span is the name of the span of a commit with a caller whose trace is sampled. It links to the spans of such callers.
	span   string
	commit func(ctx context.Context, items []T) ([]R, error)
	queue  chan call[T, R]
	done   chan struct{}
	stop   sync.Once
	mu     sync.RWMutex
	closed bool
	// answers are channels of earlier calls, for later ones.
	answers sync.Pool
	// began is when the commit under way began, in nanoseconds since 1970; 0 if there is none.
	began atomic.Int64
}

type call[T, R any] struct {
	item   T
	trace  string // the trace context of the caller if it is sampled
	answer chan answer[R]
}

type answer[R any] struct {
	result R
	err    error
}

const (
	// maxGroup bounds the items of one commit; see DESIGN: beyond a few hundred rows a statement gets no cheaper per row.
	maxGroup = 200
	// maxGroupQueue bounds the callers that wait: a few commits' worth. When it is full they are refused at once.
	maxGroupQueue = 4096
)

const scope = "github.com/spillway/spillway/store"

// newGroup starts the one goroutine that commits. commit returns one result an item, in their order; it must not keep the items, which are in a
// buffer that is used again, but may return them.
func newGroup[T, R any](span string, commit func(ctx context.Context, items []T) ([]R, error)) *group[T, R] {
	g := &group[T, R]{span: span, commit: commit, queue: make(chan call[T, R], maxGroupQueue), done: make(chan struct{})}
	go g.run()
	return g
}

// do hands the item in and returns after its commit. It fails with order.ErrOverloaded at once when too many wait. When ctx ends
// first, the item may be committed all the same.
func (g *group[T, R]) do(ctx context.Context, item T) (R, error) {
	c := call[T, R]{item: item, answer: g.channel()}
	if tracing.On(ctx) {
		c.trace = tracing.Of(ctx)
	}
	var none R
	if err := g.enqueue(c); err != nil {
		return none, err
	}
	select {
	case a := <-c.answer:
		g.answers.Put(c.answer) // It is empty. One that was not read is not used again.
		return a.result, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// channel returns an empty channel for one answer.
func (g *group[T, R]) channel() chan answer[R] {
	if c, ok := g.answers.Get().(chan answer[R]); ok {
		return c
	}
	return make(chan answer[R], 1)
}

func (g *group[T, R]) enqueue(c call[T, R]) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return fmt.Errorf("shutting down: %w", order.ErrUnavailable)
	}
	select {
	case g.queue <- c:
		return nil
	default:
		return fmt.Errorf("%d calls wait for a commit: %w", maxGroupQueue, order.ErrOverloaded)
	}
}

func (g *group[T, R]) run() {
	defer close(g.done)
	calls, items := make([]call[T, R], 0, maxGroup), make([]T, 0, maxGroup)
	for first := range g.queue {
		calls = append(calls, first)
		for len(calls) < maxGroup {
			more, ok := g.poll()
			if !ok {
				break
			}
			calls = append(calls, more)
		}
		for _, c := range calls {
			items = append(items, c.item)
		}
		g.serve(calls, items)
		clear(calls)
		clear(items)
		calls, items = calls[:0], items[:0]
	}
}

func (g *group[T, R]) poll() (call[T, R], bool) {
	select {
	case c, ok := <-g.queue:
		return c, ok
	default:
		return call[T, R]{}, false
	}
}

func (g *group[T, R]) serve(calls []call[T, R], items []T) {
	// A commit serves many callers, so that none of their contexts may end it.
	ctx, links := context.Background(), tracing.Links{}
	for _, c := range calls {
		links.Add(c.trace)
	}
	var span trace.Span
	if links.Any() {
		ctx, span = tracing.StartBatch(ctx, scope, g.span, len(items), &links)
	}
	g.began.Store(time.Now().UnixNano())
	results, err := g.commit(ctx, items)
	g.began.Store(0)
	if span != nil {
		tracing.End(span, err)
	}
	for i, c := range calls {
		a := answer[R]{err: err}
		if err == nil {
			a.result = results[i]
		}
		c.answer <- a
	}
}

// busyFor returns for how long the commit under way has been; 0 if there is none.
func (g *group[T, R]) busyFor() time.Duration {
	began := g.began.Load()
	if began == 0 {
		return 0
	}
	return time.Since(time.Unix(0, began))
}

// close commits what waits, and returns when that is done. Callers after it are refused.
func (g *group[T, R]) close() {
	g.stop.Do(func() {
		g.mu.Lock()
		g.closed = true
		close(g.queue)
		g.mu.Unlock()
	})
	<-g.done
}
