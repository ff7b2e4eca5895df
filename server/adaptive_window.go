package server

import (
	"math"
	"math/bits"
	"time"
)

const (
	// windowSteps is the number of buckets between a duration and twice that, which is the precision of a quantile: 1/8.
	windowSteps = 8
	stepBits    = 3 // of windowSteps
	// windowBuckets suffice for durations up to 2^24 µs, 16 s, within which a checkout ends.
	windowBuckets = (24 - stepBits + 2) * windowSteps
)

// latencyWindow counts the durations of the calls that ended within some time.
type latencyWindow struct {
	buckets  [windowBuckets]uint32
	calls    int
	took     time.Duration // all calls together
	inFlight int64         // the most calls in progress
	shed     int64         // the limiter's count of refused calls when the window began
}

// add counts a call.
func (w *latencyWindow) add(took time.Duration, inFlight int64) {
	w.buckets[bucketOf(took)]++
	w.calls++
	w.took += took
	w.inFlight = max(w.inFlight, inFlight+1) // The call itself has ended.
}

// meanInFlight returns how many calls were in progress on average in a window of that length, by Little's law.
func (w *latencyWindow) meanInFlight(length time.Duration) float64 {
	return float64(w.took) / float64(max(length, 1))
}

// bucketOf returns the bucket of a duration: one for each of the first 8 µs, then 8 for each doubling.
func bucketOf(took time.Duration) int {
	us := uint64(max(took.Microseconds(), 0)) //nolint:gosec // It is not negative.
	if us < windowSteps {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - stepBits
	return min((shift+1)*windowSteps+int(us>>shift)-windowSteps, windowBuckets-1) //nolint:gosec // us>>shift is 8 to 15.
}

// ceilingOf returns the first duration above the bucket.
func ceilingOf(bucket int) time.Duration {
	if bucket < windowSteps {
		return time.Duration(bucket+1) * time.Microsecond
	}
	shift := bucket/windowSteps - 1
	return time.Duration((bucket%windowSteps+windowSteps+1)<<shift) * time.Microsecond
}

// quantile returns a duration that the part q of the calls does not exceed, at most 1/8 more than the lowest such one; 0 without calls.
func (w *latencyWindow) quantile(q float64) time.Duration {
	rank, seen := int(math.Ceil(q*float64(w.calls))), 0
	for i, n := range &w.buckets {
		if seen += int(n); seen >= rank && seen > 0 {
			return ceilingOf(i)
		}
	}
	return 0
}

const (
	// baselineAge is the time after which the lowest median is measured again.
	baselineAge = 30 * time.Second
	// probeMedians is for how many medians the limit is halved meanwhile: calls that were admitted before have to end, and then one window.
	probeMedians = 3
	// maxRise bounds how much the baseline rises in baselineAge: a dependency that became twice as slow is allowed for within two minutes.
	maxRise = 1.25
)

// baseline is the lowest median of the calls' duration, which is what they take when none waits for another. In a long overload no call is that
// fast, and a baseline that followed the recent medians would rise with the limit. So once baselineAge has passed, the limit is halved
// for probeMedians, and the lowest median of that time is the new one. It rises by maxRise at most: a probe that was too short, or a window of an
// overload in which the limit was not reached, would otherwise raise the limit, and the next one start from there.
type baseline struct {
	least time.Duration // 0: not measured yet
	at    time.Time
	until time.Time     // of a probe
	limit float64       // before the probe; 0: there is none
	most  time.Duration // that the probe may find
}

// observe takes the median of a window. It returns the limit to go on with, and whether a probe holds it.
func (b *baseline) observe(median time.Duration, now time.Time, limit float64, reached bool) (next float64, probing bool) {
	switch {
	case b.limit > 0:
		b.least, b.at = min(b.least, median), now
		if now.Before(b.until) {
			return limit, true
		}
		b.least = min(b.least, b.most)
		limit, b.limit = b.limit, 0
		return limit, false
	case b.least == 0 || median <= b.least:
		b.least, b.at = median, now
	case now.Sub(b.at) > baselineAge:
		b.most = time.Duration(float64(b.least) * maxRise)
		b.least, b.at = median, now
		if reached {
			b.until, b.limit = now.Add(probeMedians*median+windowLength), limit
			return limit / 2, true
		}
		b.least = min(median, b.most) // Calls are slow although they are few.
	}
	return limit, false
}
