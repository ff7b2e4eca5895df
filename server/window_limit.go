package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/quota"
)

// EventCounter counts events in windows of time, for all processes of the shop.
type EventCounter interface {
	// Count adds one event to the key, and returns the events in its window and how much of the window is left.
	Count(ctx context.Context, key string, window time.Duration) (n int64, left time.Duration, err error)
}

// windowLimit bounds the events of each key within a window of time. A process learns how many there were in all when it counts one itself: so it
// costs nothing to look whether a key has reached its limit, and P processes allow at most one event each beyond it. While the counter is
// unavailable, a process counts its own events only.
type windowLimit struct {
	name   string
	most   int64
	window time.Duration
	shared EventCounter // nil counts in this process only
	log    *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	counts map[string]windowCount
}

// windowCount are the events of a key in the window that ends at a time.
type windowCount struct {
	n    int64
	ends time.Time
	// unshared are those of them that the shared counter does not have yet: of callRates, which share later.
	unshared int64
}

// maxWindowKeys bounds the keys that a process remembers, of about 150 bytes each. See makeRoom.
const maxWindowKeys = 50_000

func newWindowLimit(name string, most int, window time.Duration, shared EventCounter, log *slog.Logger) *windowLimit {
	return &windowLimit{name: name, most: int64(most), window: window, shared: shared, log: log, now: time.Now, counts: make(map[string]windowCount)}
}

// full returns after how long the key is below its limit again; 0 is now. A limit of 0 is none.
func (l *windowLimit) full(key string) (after time.Duration) {
	if l.most == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, now := l.counts[key], l.now()
	if c.n < l.most || !now.Before(c.ends) {
		return 0
	}
	return c.ends.Sub(now)
}

// take counts an event of the key if that keeps the limit, and otherwise returns after how long it would.
func (l *windowLimit) take(ctx context.Context, key string) (after time.Duration) {
	if after := l.full(key); after > 0 {
		return after
	}
	if l.count(ctx, key) > l.most {
		return l.full(key)
	}
	return 0
}

// count adds an event of the key, and returns how many there were in the window with it.
func (l *windowLimit) count(ctx context.Context, key string) int64 {
	if l.most == 0 {
		return 0
	}
	n := l.countHere(key)
	if l.shared == nil {
		return n
	}
	all, left, err := l.shared.Count(context.WithoutCancel(ctx), l.name+":"+key, l.window)
	if err != nil {
		l.log.WarnContext(ctx, "failed to count for a limit that processes share, it counts in this process", "limit", l.name, "error", err)
		return n
	}
	return l.learn(key, all, left)
}

// learn sets how many events of the key all processes counted in the window, and how much of the window is left. It returns the larger of that and
// what this process counted.
func (l *windowLimit) learn(key string, all int64, left time.Duration) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[key]
	c.n, c.ends = max(c.n, all), l.now().Add(left)
	l.counts[key] = c
	return c.n
}

// countUnshared adds an event of the key that takeUnshared returns later.
func (l *windowLimit) countUnshared(key string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.add(key)
	c := l.counts[key]
	c.unshared++
	l.counts[key] = c
	return n
}

// takeUnshared returns the events of the keys that were not returned before. Those of a window that has ended are left out: they would count in the next one.
func (l *windowLimit) takeUnshared(keys []string) (amounts []quota.Amount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range keys {
		if c := l.counts[key]; c.unshared > 0 && now.Before(c.ends) {
			amounts = append(amounts, quota.Amount{Key: key, N: c.unshared})
			c.unshared = 0
			l.counts[key] = c
		}
	}
	return amounts
}

func (l *windowLimit) countHere(key string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(key)
}

// add adds an event while mu is held.
func (l *windowLimit) add(key string) int64 {
	now := l.now()
	c, known := l.counts[key]
	if !known {
		l.makeRoom(now)
	}
	if !now.Before(c.ends) {
		c = windowCount{ends: now.Add(l.window)}
	}
	c.n++
	l.counts[key] = c
	return c.n
}

// makeRoom forgets keys when there are too many: those with windows that ended, and if that is not enough, half of those below the limit.
func (l *windowLimit) makeRoom(now time.Time) {
	if len(l.counts) < maxWindowKeys {
		return
	}
	for key, c := range l.counts {
		if !now.Before(c.ends) {
			delete(l.counts, key)
		}
	}
	for key, c := range l.counts {
		if len(l.counts) < maxWindowKeys/2 {
			return
		}
		if c.n < l.most {
			delete(l.counts, key)
		}
	}
	if len(l.counts) >= maxWindowKeys { // Each of them has reached the limit.
		clear(l.counts)
	}
}
