package workers

import (
	"context"
	"time"
)

// Pace decides when a worker on the order path begins its iterations. The zero value begins each at once.
type Pace struct {
	// Linger is how long the worker waits after an iteration that found some work and less than a full batch, so that under a steady load
	// the next batch is larger. It never waits after a full batch, which would bound the speed of a drain, nor when it was idle.
	Linger time.Duration
	// Yield pauses before iterations while the API of the process is busy; nil never does.
	Yield *Yield
	// Activity records that the worker works; nil records nothing.
	Activity *Activity
}

// The times for which the flusher and the relay linger by default, with durability journal. An order passes both, so that together they delay
// its row by 300 ms at most; a commit is shared by 100 to 200 ms of orders.
const (
	DefaultFlushLinger = 100 * time.Millisecond
	DefaultRelayLinger = 200 * time.Millisecond
)

// paced wraps an iteration that does at most full pieces of work.
func (p Pace) paced(full int, runOnce func(context.Context) (int, error)) func(context.Context) (int, error) {
	linger := false
	var paused pauses
	return func(ctx context.Context) (int, error) {
		if linger && p.Linger > 0 {
			sleep(ctx, p.Linger)
		}
		p.Yield.wait(ctx, p.Activity, &paused)
		n, err := runOnce(ctx)
		if n > 0 {
			p.Activity.Mark()
		}
		linger = err == nil && n > 0 && n < full
		return n, err
	}
}

// Pace returns the pace that WithPace has set.
func (f *StockFlusher) Pace() Pace { return f.pace }

// Pace returns the pace that WithPace has set.
func (r *OrderRelay) Pace() Pace { return r.pace }

// Pace returns the pace that WithPace has set.
func (w *OrderWriter) Pace() Pace { return w.pace }

// Pace returns the pace that WithPace has set.
func (s *Shipper) Pace() Pace { return s.pace }
