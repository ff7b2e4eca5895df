package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// latencyMin and latencyMax are the ends of the histograms, in microseconds: a longer one counts as an hour.
	latencyMin = 1
	latencyMax = int64(time.Hour / time.Microsecond)
	// digits is the precision of the percentiles; digitsOverTime of those that are plotted, of which there are many.
	digits         = 3
	digitsOverTime = 2
	// bucketsMax bounds the points of a plot; each holds a histogram of about 60 kB while the run lasts.
	bucketsMax = 300
)

// histogram is an HDR histogram of durations.
type histogram struct{ h *hdrhistogram.Histogram }

func newHistogram(digits int) histogram {
	return histogram{hdrhistogram.New(latencyMin, latencyMax, digits)}
}

func (h histogram) record(d time.Duration) {
	_ = h.h.RecordValue(min(max(d.Microseconds(), latencyMin), latencyMax)) // It is within the bounds.
}

func (h histogram) count() int64 { return h.h.TotalCount() }

// at is the duration that p percent do not exceed.
func (h histogram) at(p float64) time.Duration {
	return time.Duration(h.h.ValueAtPercentile(p)) * time.Microsecond
}

func (h histogram) max() time.Duration { return time.Duration(h.h.Max()) * time.Microsecond }

// bucket is a stretch of the run.
type bucket struct {
	counts  [outcomes]int64
	latency histogram // of all that were answered
}

// stats is what is counted while the load runs. Everything is filed under the moment at which it was meant to be sent.
type stats struct {
	width time.Duration // of a bucket

	mu        sync.Mutex
	latencies [outcomes]histogram
	steps     map[string]histogram
	codes     map[string]int64
	lag       histogram // how late the generator itself was
	buckets   []bucket
	retries   int64
	inFlight  int64
	counts    [outcomes]int64
}

func newStats(length time.Duration) *stats {
	s := &stats{
		width: bucketWidth(length), steps: make(map[string]histogram), codes: make(map[string]int64), lag: newHistogram(digits),
	}
	s.buckets = make([]bucket, (length+s.width-1)/s.width)
	for i := range s.buckets {
		s.buckets[i].latency = newHistogram(digitsOverTime)
	}
	for o := range s.latencies {
		s.latencies[o] = newHistogram(digits)
	}
	return s
}

// bucketWidth is a second, or as many as the bound of buckets needs; short runs get finer ones.
func bucketWidth(length time.Duration) time.Duration {
	if length <= bucketsMax/10*time.Second {
		return 200 * time.Millisecond
	}
	return max(time.Second, (length/bucketsMax).Truncate(time.Second)+time.Second)
}

func (s *stats) bucket(at time.Duration) *bucket {
	return &s.buckets[min(max(int(at/s.width), 0), len(s.buckets)-1)]
}

// sent notes that the arrival of the moment went out, so much too late.
func (s *stats) sent(late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	s.lag.record(late)
}

// notSent notes an arrival that was not.
func (s *stats) notSent(at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[NotSent]++
	s.bucket(at).counts[NotSent]++
}

// done notes what became of the arrival of the moment, and how long that took from then.
func (s *stats) done(at time.Duration, a answer, latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	s.counts[a.outcome]++
	s.latencies[a.outcome].record(latency)
	b := s.bucket(at)
	b.counts[a.outcome]++
	b.latency.record(latency)
	if a.code != "" && a.outcome != SoldOut && a.outcome != Declined { // Those have no other code.
		s.codes[a.code]++
	}
}

// step notes one attempt of one call, from when it was really sent.
func (s *stats) step(name string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.steps[name]
	if !ok {
		h = newHistogram(digits)
		s.steps[name] = h
	}
	h.record(d)
}

func (s *stats) retried() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries++
}

// glance is what the live progress shows.
type glance struct {
	counts   [outcomes]int64
	inFlight int64
	retries  int64
	p50, p99 time.Duration // of the bucket that was meant to be sent last, as far as it was answered
}

func (s *stats) glance(at time.Duration) glance {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.bucket(at - s.width).latency
	return glance{counts: s.counts, inFlight: s.inFlight, retries: s.retries, p50: h.at(50), p99: h.at(99)}
}
