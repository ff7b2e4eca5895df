package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/quota"
	"github.com/spillway/spillway/throttle"
)

// BatchCounter counts events of many keys in windows of time, for all processes of the shop.
type BatchCounter interface {
	// Add adds the amounts in one round trip, and returns the totals of their keys.
	Add(ctx context.Context, amounts []quota.Amount, window time.Duration) ([]quota.Total, error)
}

const (
	// shareInterval is the time between two rounds of sharing: within it, a key can pass its limit in each process.
	shareInterval = time.Second
	// shareFraction: a key is shared from a 16th of its limit on. Up to 16 processes that each have less are below the limit together, and the
	// usual customer costs no call of Redis.
	shareFraction = 16
	// maxShared bounds the keys of one round of each limit, about 10 kB on the wire. The others wait for the next one.
	maxShared = 200
	// shareWarnInterval is the time between two log lines about Redis, each second of whose outage fails.
	shareWarnInterval = time.Minute
)

// sharedWindow is a windowLimit of a minute that many calls pass: it counts in this process, and share exchanges the counts with the others.
type sharedWindow struct {
	*windowLimit

	shared BatchCounter // nil counts nothing: the token buckets of this process suffice
	warned throttle.Interval

	mu  sync.Mutex
	due map[string]struct{} // keys with counts to share, at most maxWindowKeys
}

func newSharedWindow(name string, most int, shared BatchCounter, log *slog.Logger) *sharedWindow {
	return &sharedWindow{windowLimit: newWindowLimit(name, most, time.Minute, nil, log), shared: shared, due: make(map[string]struct{})}
}

// take counts an event of the key if that keeps the limit, and otherwise returns after how long it would.
func (w *sharedWindow) take(key string) (after time.Duration) {
	if w.shared == nil {
		return 0
	}
	if after := w.full(key); after > 0 {
		return after
	}
	if w.countUnshared(key) >= max(1, w.most/shareFraction) {
		w.setDue(key)
	}
	return 0
}

// spent returns what take would, and counts nothing.
func (w *sharedWindow) spent(key string) (after time.Duration) {
	if w.shared == nil {
		return 0
	}
	return w.full(key)
}

// setDue has the key shared. Beyond maxWindowKeys it is not: a key that goes on comes again.
func (w *sharedWindow) setDue(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.due) < maxWindowKeys {
		w.due[key] = struct{}{}
	}
}

// share adds what was counted here to the shared counters, and learns what others counted. After a failure the counts of the round are those of
// this process alone.
func (w *sharedWindow) share(ctx context.Context) {
	amounts := w.takeUnshared(w.takeDue())
	if len(amounts) == 0 || w.shared == nil {
		return
	}
	named := make([]quota.Amount, len(amounts))
	for i, a := range amounts {
		named[i] = quota.Amount{Key: w.name + ":" + a.Key, N: a.N}
	}
	totals, err := w.shared.Add(ctx, named, w.window)
	if err != nil {
		if ctx.Err() == nil && w.warned.Due(w.now(), shareWarnInterval) {
			w.log.WarnContext(ctx, "failed to share the counts of a limit, each process has its own", "limit", w.name, "error", err)
		}
		return
	}
	for i, t := range totals {
		w.learn(amounts[i].Key, t.N, t.Left)
	}
}

// takeDue returns keys with counts to share, at most maxShared.
func (w *sharedWindow) takeDue() (keys []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.due {
		if len(keys) == maxShared {
			break
		}
		keys = append(keys, key)
		delete(w.due, key)
	}
	return keys
}
