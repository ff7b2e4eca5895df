package workers

import (
	"context"
	"time"

	"github.com/spillway/spillway/journal"
)

const (
	// minFlushPollInterval and maxFlushPollInterval bound the time between two reads of the flusher's offset from SQL. It doubles, because the
	// flusher may linger for DefaultFlushLinger before it takes about 5 ms for a small batch and 50 ms for a full one.
	minFlushPollInterval = 5 * time.Millisecond
	maxFlushPollInterval = 40 * time.Millisecond
	// maxProgressWait bounds how long the relay waits for the progress of a flusher in this process before it reads the offset from SQL.
	maxProgressWait = 200 * time.Millisecond
)

// WithProgress lets the relay wait for a flusher of the same process without reading SQL meanwhile. It is called before Run.
func (r *OrderRelay) WithProgress(p *journal.Progress) *OrderRelay {
	r.progress = p
	return r
}

// awaitProgress returns when a flusher of this process has reached the offset, or after the interval; if such a flusher works on the epoch, it
// returns after maxProgressWait at the latest. It only chooses the moment: what is flushed is read from SQL, which may have lost commits that the progress counts.
func (r *OrderRelay) awaitProgress(ctx context.Context, offset journal.Offset, interval time.Duration) {
	if r.progress == nil {
		sleep(ctx, interval)
		return
	}
	if r.progress.Offset().Epoch == offset.Epoch {
		interval = maxProgressWait
	}
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	if err := r.progress.Wait(ctx, offset, ""); err != nil {
		<-ctx.Done() // The epoch is closed, or the time is over.
	}
}
