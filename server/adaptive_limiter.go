package server

import (
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
)

// AdaptiveLimiter bounds how many calls of one kind are in progress by how long they take. It lowers its limit while the slowest tenth of the
// calls exceeds the target and the limit is used, and raises it while calls are faster and the limit is reached, or is lower than that of a new
// process. What is beyond the limit is refused at once: in an overload, waiting would make all calls slow and complete no more of them. It is safe
// for concurrent use.
type AdaptiveLimiter struct {
	name string
	cfg  AdaptiveConfig
	now  func() time.Time

	limit, inFlight, shed atomic.Int64

	mu     sync.Mutex
	window latencyWindow // of all calls
	served latencyWindow // of those that were served
	began  time.Time     // of both windows
	base   baseline
}

// AdaptiveConfig configures an AdaptiveLimiter.
type AdaptiveConfig struct {
	// Max is the highest limit.
	Max int
	// Latency is the target for the 90th percentile of the calls' duration; 0 keeps the limit at Max. Where even few calls take longer, the
	// target is twice the lowest median that was measured.
	Latency time.Duration
}

const (
	// minLimit is the lowest limit, whatever the calls take: half of what two cores serve at the highest rate. Fewer calls would share fewer
	// batches and commits, and take longer each.
	minLimit = 32
	// initialLimit is the limit of a new process, which rises within a second if calls are fast. A lower one rises to it also if it is not
	// reached: otherwise each pause of a dependency would lower it once more, until a few calls that come at once are refused.
	initialLimit = 64
	// urgentShare is the part of the limit that is added for urgent calls.
	urgentShare = 4
	// windowLength and windowCalls are the least that the limit is adapted by: 30 calls have 3 in their slowest tenth.
	windowLength = 100 * time.Millisecond
	windowCalls  = 30
	// maxWindowLength is the time after which calls that were not served count as well, if too few were served.
	maxWindowLength = time.Second
	// latencyQuantile is the part of the calls that is to be faster than the target.
	latencyQuantile = 0.9
	// maxCut is the lowest factor of one cut, so that a single pause of the process does not take half of the limit.
	maxCut = 0.7
	// minRetryDelay and maxRetryDelay are the bounds of the random retry hint, so that refused clients do not return all at once.
	minRetryDelay = time.Second
	maxRetryDelay = 3 * time.Second
)

// NewAdaptiveLimiter returns a limiter. Its errors contain the name of what is bounded.
func NewAdaptiveLimiter(name string, cfg AdaptiveConfig, now func() time.Time) *AdaptiveLimiter {
	l := &AdaptiveLimiter{name: name, cfg: cfg, now: now, began: now()}
	l.limit.Store(int64(cfg.Max))
	if cfg.Latency > 0 {
		l.limit.Store(int64(min(cfg.Max, initialLimit)))
	}
	return l
}

// Limit returns the current limit.
func (l *AdaptiveLimiter) Limit() int { return int(l.limit.Load()) }

// InFlight returns the number of calls in progress.
func (l *AdaptiveLimiter) InFlight() int { return int(l.inFlight.Load()) }

// Shed returns the number of calls that were refused.
func (l *AdaptiveLimiter) Shed() int64 { return l.shed.Load() }

// isFull reports whether a call would be refused.
func (l *AdaptiveLimiter) isFull(urgent bool) bool { return l.inFlight.Load() >= l.bound(urgent) }

// bound is the limit for calls that are urgent, or not.
func (l *AdaptiveLimiter) bound(urgent bool) int64 {
	limit := l.limit.Load()
	if urgent {
		limit += limit / urgentShare
	}
	return limit
}

// acquire counts a call, or returns false, at once, if the limit is reached.
func (l *AdaptiveLimiter) acquire(urgent bool) bool {
	if l.inFlight.Add(1) <= l.bound(urgent) {
		return true
	}
	l.inFlight.Add(-1)
	l.shed.Add(1)
	return false
}

// enter counts a call that goes on whatever the limit is.
func (l *AdaptiveLimiter) enter() { l.inFlight.Add(1) }

// leave ends the counting of a call.
func (l *AdaptiveLimiter) leave() { l.inFlight.Add(-1) }

// record adapts the limit to the duration of a call that has ended, and was served or not.
func (l *AdaptiveLimiter) record(took time.Duration, served bool) {
	if l.cfg.Latency <= 0 {
		return
	}
	inFlight := l.inFlight.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.window.add(took, inFlight)
	if served {
		l.served.add(took, inFlight)
	}
	if now := l.now(); l.isWindowOver(now.Sub(l.began)) {
		l.adapt(now)
		l.window, l.served, l.began = latencyWindow{shed: l.shed.Load()}, latencyWindow{}, now
	}
}

func (l *AdaptiveLimiter) isWindowOver(length time.Duration) bool {
	enough := l.served.calls >= windowCalls || length >= maxWindowLength && l.window.calls >= windowCalls
	return enough && length >= windowLength
}

// adapt sets the limit after a window. The calls that were served decide, if they are enough: others, such as those without a token or for what is
// sold out, may take a thousandth of their time, so that they would hide an overload, or make a usual duration look like one.
func (l *AdaptiveLimiter) adapt(now time.Time) {
	limit := float64(l.limit.Load())
	reached := l.shed.Load() > l.window.shed || float64(l.window.inFlight) >= limit
	next, probing, measured := limit, false, &l.window
	if l.served.calls >= windowCalls {
		measured = &l.served
		next, probing = l.base.observe(measured.quantile(0.5), now, limit, reached)
	}
	if !probing {
		target := max(l.cfg.Latency, 2*l.base.least)
		next = nextLimit(next, measured.quantile(latencyQuantile), target, l.window.meanInFlight(now.Sub(l.began)), reached)
	}
	lowest, highest := float64(min(minLimit, l.cfg.Max)), float64(l.cfg.Max)
	l.limit.Store(int64(min(max(next, lowest), highest)))
}

// nextLimit returns the limit after a window with the given 90th percentile and mean of the calls in progress. Slow calls of a process with
// few of them are slow for another reason than their number, so that a limit that is more than twice as high as the mean stays. The mean
// counts, because a pause of a dependency has all calls of its time in progress for a moment.
func nextLimit(limit float64, slow, target time.Duration, inFlight float64, reached bool) float64 {
	ratio := float64(target) / float64(max(slow, 1))
	switch {
	case ratio < 1 && (reached || 2*inFlight >= limit):
		return limit * max(ratio, maxCut)
	case ratio > 1 && reached:
		return limit + math.Sqrt(limit)*min(ratio-1, 1)
	case ratio > 1 && limit < initialLimit:
		return min(limit+math.Sqrt(limit)*min(ratio-1, 1), initialLimit)
	}
	return limit
}

// refusal is the error of a call beyond the limit.
func (l *AdaptiveLimiter) refusal() error {
	return &order.RetryError{After: retryHint(), Err: order.Refuse(order.ErrOverloaded, order.ReasonTooManyCalls,
		"%d %s are in progress, which is the limit of this server", l.Limit(), l.name).With("limit", l.name).With("maximum", strconv.Itoa(l.Limit()))}
}

// retryHint returns a random delay.
func retryHint() time.Duration {
	return minRetryDelay + rand.N(maxRetryDelay-minRetryDelay) //nolint:gosec // Spreading retries needs no secrecy.
}
