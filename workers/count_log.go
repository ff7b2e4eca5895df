package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// countInterval is the time over which a countLog adds up. Each item has a line of its own at level debug at most.
const countInterval = 10 * time.Second

// countLog logs at level info how many items a worker has done, in one line for each countInterval with items. It is safe for concurrent use.
type countLog struct {
	log     *slog.Logger
	message string

	mu    sync.Mutex
	count int
	since time.Time // when the first of them was added
}

func newCountLog(log *slog.Logger, message string) *countLog {
	return &countLog{log: log, message: message}
}

// add adds n items, which may be 0, and logs the sum if it is due.
func (c *countLog) add(ctx context.Context, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == 0 {
		c.since = time.Now()
	}
	if c.count += n; c.count > 0 && time.Since(c.since) >= countInterval {
		c.write(ctx)
	}
}

// flush logs what was added since the last line.
func (c *countLog) flush(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count > 0 {
		c.write(ctx)
	}
}

func (c *countLog) write(ctx context.Context) {
	c.log.InfoContext(ctx, c.message, "count", c.count) //nolint:sloglint // A constant of the caller.
	c.count = 0
}
