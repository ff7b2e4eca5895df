package server

import (
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
)

// maxRateKeys bounds the customers, and the addresses, that each limit remembers, of about 300 bytes each. One that is forgotten begins anew.
const maxRateKeys = 20_000

// callRate bounds the calls of each key: a token bucket spreads them over the minute in this process, and a window counts them in all processes
// together.
type callRate[K comparable] struct {
	limit     order.Limit
	perMinute int
	name      func(K) string
	buckets   *buckets[K]
	window    *sharedWindow
	refused   atomic.Int64
}

func newCallRate[K comparable](limit order.Limit, perMinute int, name func(K) string, c CallRateConfig) *callRate[K] {
	return &callRate[K]{
		limit: limit, perMinute: perMinute, name: name, buckets: newBuckets[K](perMinute, maxRateKeys),
		window: newSharedWindow(string(limit), perMinute, c.Shared, c.Log),
	}
}

// take counts a call of the key, or returns an order.LimitError.
func (r *callRate[K]) take(key K, now time.Time) error {
	if r.perMinute == 0 {
		return nil
	}
	wait := r.buckets.take(key, now)
	if wait == 0 {
		wait = r.window.take(r.name(key))
	}
	if wait == 0 {
		return nil
	}
	r.refused.Add(1)
	return r.exceeded(wait)
}

// spent returns the error that take would return, and counts nothing.
func (r *callRate[K]) spent(key K, now time.Time) error {
	if r.perMinute == 0 {
		return nil
	}
	wait := r.buckets.wait(key, now)
	if wait == 0 {
		wait = r.window.spent(r.name(key))
	}
	if wait == 0 {
		return nil
	}
	return r.exceeded(wait)
}

func (r *callRate[K]) exceeded(wait time.Duration) error {
	return &order.LimitError{Limit: r.limit, Maximum: int64(r.perMinute), After: wait}
}
