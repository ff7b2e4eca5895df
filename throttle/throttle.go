// Package throttle lets something happen once in a while, such as a log line about what may happen thousands of times a second.
package throttle

import (
	"sync/atomic"
	"time"
)

// Interval is due the first time, and then at most once in each interval. The zero value is ready for use. It is safe for concurrent use: of the
// callers at one moment, one gets true.
type Interval struct{ last atomic.Int64 } // when it was due, in nanoseconds since 1970; 0 is never

// Due reports whether d has passed since it was true last.
func (i *Interval) Due(now time.Time, d time.Duration) bool {
	last, at := i.last.Load(), now.UnixNano()
	return (last == 0 || at-last >= int64(d)) && i.last.CompareAndSwap(last, at)
}
