package load

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// arrivals is a schedule: the planned time of each order, as an offset from the start. It does not depend on responses.
type arrivals struct {
	rate   float64
	random *rand.Rand // nil means equal gaps
	n      int
	at     float64 // seconds
}

// newArrivals returns the schedule for the rate in arrivals per second; random is used for Poisson only.
func newArrivals(kind string, rate float64, random *rand.Rand) *arrivals {
	a := &arrivals{rate: rate}
	if kind == Poisson {
		a.random = random
	}
	return a
}

// next returns the offset of the next arrival. The gaps of a Poisson process are exponential.
func (a *arrivals) next() time.Duration {
	if a.random == nil {
		a.at = float64(a.n) / a.rate // Not a sum: its rounding would drift.
		a.n++
	} else {
		a.at += a.random.ExpFloat64() / a.rate
	}
	return time.Duration(math.Round(a.at * float64(time.Second)))
}

// sleeper waits for a series of times.
type sleeper struct{ timer *time.Timer }

func newSleeper() sleeper { return sleeper{timer: time.NewTimer(0)} }

// until waits for the time, if it is not in the past, and reports whether ctx is still alive.
func (s sleeper) until(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	s.timer.Reset(wait)
	select {
	case <-s.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause waits for d, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	s := newSleeper()
	defer s.timer.Stop()
	return s.until(ctx, time.Now().Add(d))
}
