package server

import (
	"strconv"

	"golang.org/x/sync/semaphore"

	"github.com/spillway/spillway/order"
)

// Limiter bounds how many of one kind of work are under way at once. A nil *Limiter has no bound.
type Limiter struct {
	name string
	max  int64
	sem  *semaphore.Weighted
	// release returns a slot. It is made once, because making it allocates.
	release func()
}

// NewLimiter returns a limiter. Its errors contain the name of what is bounded.
func NewLimiter(name string, atOnce int) *Limiter {
	l := &Limiter{name: name, max: int64(atOnce), sem: semaphore.NewWeighted(int64(atOnce))}
	l.release = func() { l.sem.Release(1) }
	return l
}

// Acquire takes a slot, which the caller returns with release. It does not wait: without a free slot it returns an order.RetryError of
// order.ErrOverloaded.
func (l *Limiter) Acquire() (release func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	if !l.sem.TryAcquire(1) {
		return nil, l.full()
	}
	return l.release, nil
}

// Check returns the error of Acquire without taking a slot.
func (l *Limiter) Check() error {
	release, err := l.Acquire()
	if err == nil {
		release()
	}
	return err
}

func (l *Limiter) full() error {
	return &order.RetryError{After: defaultRetryDelay, Err: order.Refuse(order.ErrOverloaded, order.ReasonTooManyCalls,
		"%d %s are in progress, which is the limit of this server", l.max, l.name).With(metaLimit, l.name).With("maximum", strconv.FormatInt(l.max, 10))}
}
