package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// minLatency and maxLatency are the ends of the histograms, in microseconds: a longer one counts as an hour.
	minLatency = 1
	maxLatency = int64(time.Hour / time.Microsecond)
	// digits is the precision of the percentiles; digitsOverTime that of the plotted ones, of which there are many.
	digits         = 3
	digitsOverTime = 2
	// maxBuckets is the maximum number of points of a plot; each holds a histogram of about 60 kB during the run.
	maxBuckets = 300
)

// histogram is an HDR histogram of durations.
type histogram struct{ h *hdrhistogram.Histogram }

func newHistogram(digits int) histogram {
	return histogram{hdrhistogram.New(minLatency, maxLatency, digits)}
}

func (h histogram) record(d time.Duration) {
	_ = h.h.RecordValue(min(max(d.Microseconds(), minLatency), maxLatency)) // It is within the bounds.
}

func (h histogram) count() int64 { return h.h.TotalCount() }

// at returns the duration that p percent do not exceed.
func (h histogram) at(p float64) time.Duration {
	return time.Duration(h.h.ValueAtPercentile(p)) * time.Microsecond
}

func (h histogram) max() time.Duration { return time.Duration(h.h.Max()) * time.Microsecond }

// bucket is a time interval of the run.
type bucket struct {
	counts  [outcomes]int64
	latency histogram // of all with a response
}

// stats holds the counters of a running load. Everything is filed under its planned time. It is safe for concurrent
// use.
type stats struct {
	width time.Duration // of a bucket

	mu        sync.Mutex
	latencies [outcomes]histogram
	steps     map[string]histogram
	codes     map[string]int64
	lag       histogram // delay of the generator itself
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

// bucketWidth returns a second, or as many as maxBuckets needs; short runs get finer ones.
func bucketWidth(length time.Duration) time.Duration {
	if length <= maxBuckets/10*time.Second {
		return 200 * time.Millisecond
	}
	return max(time.Second, (length/maxBuckets).Truncate(time.Second)+time.Second)
}

func (s *stats) bucket(at time.Duration) *bucket {
	return &s.buckets[min(max(int(at/s.width), 0), len(s.buckets)-1)]
}

// sent records that an arrival was sent, with its delay.
func (s *stats) sent(late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	s.lag.record(late)
}

// notSent records an arrival that was dropped.
func (s *stats) notSent(at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[NotSent]++
	s.bucket(at).counts[NotSent]++
}

// done records the outcome of the arrival at the planned time, and its latency.
func (s *stats) done(at time.Duration, a response, latency time.Duration) {
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

// step records one attempt of one call, measured from its actual sending.
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

// retried counts a retry.
func (s *stats) retried() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries++
}

// glance is the data of the live progress.
type glance struct {
	counts   [outcomes]int64
	inFlight int64
	retries  int64
	p50, p99 time.Duration // of the last planned bucket, as far as it has responses
}

// glance returns the counters, and the latencies of the bucket before the given time.
func (s *stats) glance(at time.Duration) glance {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.bucket(at - s.width).latency
	return glance{counts: s.counts, inFlight: s.inFlight, retries: s.retries, p50: h.at(50), p99: h.at(99)}
}
