package stock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

const (
	// maxBatchSKUs bounds the counters of one batch: with 64 bytes a SKU, the load script gets and returns at most 90 kB.
	maxBatchSKUs = 1000
	// maxWaitingSKUs bounds the SKUs that wait for a batch: ten batches, at about 200 bytes a SKU.
	maxWaitingSKUs = 10 * maxBatchSKUs
	// loadTimeout bounds the loading of one batch, which many callers may wait for: up to maxSnapshots reads of SQL, and scripts of a few milliseconds.
	loadTimeout = 5 * time.Second
)

// loader loads counters in batches, one batch at a time: SKUs that are missed meanwhile wait for the next one. So the journal is read
// once for many SKUs, and not once for each. It is safe for concurrent use.
type loader struct {
	// batch loads the counters of the SKUs. The error of a SKU is in failed; err is the error of all others.
	batch func(ctx context.Context, skus []order.SKU) (failed map[order.SKU]error, err error)

	mu sync.Mutex
	// waiting are the SKUs of the next batches, oldest first; loads has these and those of the running batch.
	waiting []order.SKU
	loads   map[order.SKU]*counterLoad
	running bool
}

// counterLoad is the loading of one counter. err is set before done is closed.
type counterLoad struct {
	done chan struct{}
	err  error
}

func newLoader(batch func(context.Context, []order.SKU) (map[order.SKU]error, error)) *loader {
	return &loader{batch: batch, loads: make(map[order.SKU]*counterLoad)}
}

// load loads the counters of the SKUs, each once for all concurrent callers. It returns when they are loaded, with the error of the first SKU
// that failed, or when ctx is done; the loading goes on then.
func (l *loader) load(ctx context.Context, skus []order.SKU) error {
	loads, err := l.join(ctx, skus)
	if err != nil {
		return err
	}
	for _, c := range loads {
		select {
		case <-c.done:
			if c.err != nil {
				return c.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join returns the loads of the SKUs: those that wait or run already, and new ones.
func (l *loader) join(ctx context.Context, skus []order.SKU) ([]*counterLoad, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(skus) > maxWaitingSKUs {
		return nil, unavailable("%d SKUs wait for their counters", len(l.waiting))
	}
	out := make([]*counterLoad, len(skus))
	for i, sku := range skus {
		c, ok := l.loads[sku]
		if !ok {
			c = &counterLoad{done: make(chan struct{})}
			l.loads[sku] = c
			l.waiting = append(l.waiting, sku)
		}
		out[i] = c
	}
	if !l.running && len(l.waiting) > 0 {
		l.running = true
		go l.run(context.WithoutCancel(ctx)) // The context of the first caller may end.
	}
	return out, nil
}

// run loads batches until no SKU waits.
func (l *loader) run(ctx context.Context) {
	for batch := l.next(); len(batch) > 0; batch = l.next() {
		l.runBatch(ctx, batch)
	}
}

func (l *loader) runBatch(ctx context.Context, batch []order.SKU) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	failed, err := l.batch(ctx, batch)
	if err != nil && ctx.Err() != nil { // It is not the deadline of the callers.
		err = unavailable("the counters were not loaded within %s", loadTimeout)
	}
	l.finish(batch, failed, err)
}

// next takes the SKUs of the next batch. Without any, the loader no longer runs.
func (l *loader) next() []order.SKU {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), maxBatchSKUs)
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	if n == 0 {
		l.running, l.waiting = false, nil
	}
	return batch
}

// finish ends the loads of a batch, so that later callers begin new ones.
func (l *loader) finish(batch []order.SKU, failed map[order.SKU]error, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sku := range batch {
		c := l.loads[sku]
		delete(l.loads, sku)
		if c.err = failed[sku]; c.err == nil {
			c.err = err
		}
		close(c.done)
	}
}

func unavailable(format string, args ...any) error {
	return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf(format+": %w", append(args, order.ErrUnavailable)...)}
}
