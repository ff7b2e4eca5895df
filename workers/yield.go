package workers

import (
	"context"
	"sync"
	"time"
)

// Load is how busy the API of the same process is.
type Load interface {
	// InFlight is the number of requests in progress that place or pay an order, and do not wait for the payment provider.
	InFlight() int
}

// JournalLength reads how many entries the journal has.
type JournalLength interface {
	Length(ctx context.Context) (int64, error)
}

// YieldConfig sets up a Yield.
type YieldConfig struct {
	// InFlight is the number of requests in progress from which on the drain yields.
	InFlight int
	// MaxPause bounds the pause before one iteration, so that the drain goes on with full batches however long the API is busy.
	MaxPause time.Duration
	// MaxPercent bounds the pauses of one worker, in percent of the time since it began, beyond one of MaxPause: the requests in progress may
	// wait for something else than the CPU.
	MaxPercent int
	// MaxBacklog is the number of journal entries from which on the drain does not yield.
	MaxBacklog int64
}

const (
	// yieldShare is the share of the journal's limit, in percent, up to which a burst is accepted before it is drained. The rest is what the drain,
	// at full speed, has left before orders are refused.
	yieldShare = 50
	// yieldInterval is the time between two checks whether the API is still busy.
	yieldInterval = 10 * time.Millisecond
	// maxPausePercent leaves a quarter of the time to each worker. An iteration of a full batch takes some 100 ms, so that a worker pauses 300 ms for
	// each: without this bound it paused a second, and wrote 400 orders/s however many cores were idle.
	maxPausePercent = 75
	// lengthInterval is how long a length of the journal counts; at 10,000 entries/s it is 1,000 entries too small then.
	lengthInterval = 100 * time.Millisecond
)

// DefaultYieldConfig yields to 16 requests in progress: on two cores that is a process with its CPU used up, because a request takes a
// millisecond or two by itself. A pause lasts for a second at most, and the pauses take three quarters of the time at most.
func DefaultYieldConfig(journalMax int) YieldConfig {
	return YieldConfig{InFlight: 16, MaxPause: time.Second, MaxPercent: maxPausePercent, MaxBacklog: int64(journalMax) * yieldShare / 100}
}

// Yield pauses the workers on the order path while the API of the same process is busy, so that a burst is accepted first and drained
// afterwards. It is for durability journal: with sql, responses wait for the drain. It is safe for concurrent use; the workers share one.
type Yield struct {
	cfg     YieldConfig
	load    Load
	journal JournalLength

	mu     sync.Mutex
	length int64
	readAt time.Time
}

// NewYield makes a Yield.
func NewYield(cfg YieldConfig, load Load, journal JournalLength) *Yield {
	return &Yield{cfg: cfg, load: load, journal: journal}
}

// pauses is the time for which one worker may pause. It grows by MaxPercent of the time that passes, up to MaxPause, and shrinks by each pause.
// The zero value may pause for MaxPause.
type pauses struct {
	left time.Duration
	at   time.Time // when left was computed
}

// allowed returns how long the worker may pause now.
func (p *pauses) allowed(cfg YieldConfig, now time.Time) time.Duration {
	if p.at.IsZero() {
		p.left, p.at = cfg.MaxPause, now
	}
	p.left = min(cfg.MaxPause, p.left+now.Sub(p.at)*time.Duration(cfg.MaxPercent)/100)
	p.at = now
	return p.left
}

// wait returns when the API is not busy, the journal is longer than MaxBacklog, or the worker has paused as long as it may. The order path counts
// as active meanwhile, so that less urgent workers do not use the pause. A nil Yield does not wait.
func (y *Yield) wait(ctx context.Context, a *Activity, p *pauses) {
	if y == nil {
		return
	}
	began := time.Now()
	deadline := began.Add(p.allowed(y.cfg, began))
	for ctx.Err() == nil && y.load.InFlight() >= y.cfg.InFlight && time.Now().Before(deadline) && !y.behind(ctx) {
		a.Mark()
		sleep(ctx, yieldInterval)
	}
	p.left -= time.Since(began)
}

// behind reports whether the journal is longer than MaxBacklog, or its length is not known.
func (y *Yield) behind(ctx context.Context) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.readAt.IsZero() || time.Since(y.readAt) >= lengthInterval {
		n, err := y.journal.Length(ctx)
		if err != nil {
			return true
		}
		y.length, y.readAt = n, time.Now()
	}
	return y.length > y.cfg.MaxBacklog
}
