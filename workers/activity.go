package workers

import (
	"sync/atomic"
	"time"
)

// Activity records when the workers on the order path (flusher, relay, writer, shipper) last did work, so that less urgent workers of the
// same process, such as those that send mail, can wait while orders are drained. It is safe for concurrent use. The zero value, and a nil
// Activity, were never active.
type Activity struct {
	// last is the time of the latest Mark, as time elapsed since activityStart plus 1 ns; 0: never.
	last atomic.Int64
}

// activityStart is the beginning of the monotonic time that Activity records.
var activityStart = time.Now()

// Mark records that the order path does work now.
func (a *Activity) Mark() {
	if a != nil {
		a.last.Store(int64(time.Since(activityStart)) + 1)
	}
}

// Active reports whether the order path did work within the given time.
func (a *Activity) Active(within time.Duration) bool {
	if a == nil {
		return false
	}
	last := a.last.Load()
	return last != 0 && time.Since(activityStart)-time.Duration(last-1) <= within
}
