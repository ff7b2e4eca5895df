package server

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stubStation is a server with two processors that serve what waits in its order, in the fake time of synctest. A call takes 2 ms of a
// processor, in four steps with a round trip between them; a refused one takes 20 µs. So its capacity is 1,000 calls a second.
type stubStation struct {
	limiter    *AdaptiveLimiter
	processors chan struct{}
	roundTrip  time.Duration

	calls    sync.WaitGroup
	mu       sync.Mutex
	accepted []time.Duration // durations
	refused  []time.Duration
}

const (
	stationCapacity = 1000 // calls a second
	stationSteps    = 4
	stationStep     = 500 * time.Microsecond
	stationRefusal  = 20 * time.Microsecond
)

func newStubStation(roundTrip time.Duration) *stubStation {
	s := &stubStation{processors: make(chan struct{}, 2), roundTrip: roundTrip}
	s.limiter = NewAdaptiveLimiter("calls", AdaptiveConfig{Max: 1024, Latency: DefaultLatency}, time.Now)
	return s
}

// pass lets fake time pass.
func pass(d time.Duration) { <-time.After(d) }

// work takes a processor for some time.
func (s *stubStation) work(d time.Duration) {
	s.processors <- struct{}{}
	pass(d)
	<-s.processors
}

func (s *stubStation) call() {
	arrived := time.Now()
	s.work(stationRefusal) // Reading the request.
	began := time.Now()
	admitted := s.limiter.acquire(false)
	if admitted {
		for range stationSteps {
			s.work(stationStep)
			pass(s.roundTrip)
		}
		s.limiter.leave()
		s.limiter.record(time.Since(began), true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := time.Since(arrived); admitted {
		s.accepted = append(s.accepted, took)
	} else {
		s.refused = append(s.refused, took)
	}
}

// stationResult is what became of the calls of some time.
type stationResult struct {
	goodput       float64 // accepted calls a second
	p50, p99      time.Duration
	refused       int
	refusedWithin time.Duration
}

// offer sends calls at random times, so many a second, and returns what became of those that ended meanwhile.
func (s *stubStation) offer(rng *rand.Rand, perSecond int, length time.Duration) stationResult {
	s.mu.Lock()
	s.accepted, s.refused = nil, nil
	s.mu.Unlock()
	for began := time.Now(); time.Since(began) < length; {
		pass(time.Duration(rng.ExpFloat64() / float64(perSecond) * float64(time.Second)))
		s.calls.Go(s.call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := stationResult{goodput: float64(len(s.accepted)) / length.Seconds(), refused: len(s.refused)}
	slices.Sort(s.accepted)
	if n := len(s.accepted); n > 0 {
		r.p50, r.p99 = s.accepted[n/2], s.accepted[n*99/100]
	}
	if len(s.refused) > 0 {
		r.refusedWithin = slices.Max(s.refused)
	}
	return r
}

// inStation runs the test in fake time, with the same random numbers each time.
func inStation(t *testing.T, roundTrip time.Duration, test func(t *testing.T, s *stubStation, rng *rand.Rand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStubStation(roundTrip)
		test(t, s, rand.New(rand.NewPCG(1, 2)))
		s.calls.Wait()
	})
}

const usualRoundTrip = time.Millisecond

// TestAdaptiveLimiter_Overload offers less and more than the capacity. Beyond it the goodput stays at nine tenths of the capacity or more,
// accepted calls take at most twice the target, refused ones are refused within 100 ms, and nothing is refused 10 s after the overload.
func TestAdaptiveLimiter_Overload(t *testing.T) {
	inStation(t, usualRoundTrip, func(t *testing.T, s *stubStation, rng *rand.Rand) {
		s.offer(rng, stationCapacity/2, 2*time.Second)
		if r := s.offer(rng, stationCapacity/2, 10*time.Second); r.refused > 0 {
			t.Errorf("at half of the capacity %d calls are refused", r.refused)
		}
		for _, percent := range []int{150, 300} {
			s.offer(rng, stationCapacity*percent/100, 2*time.Second)
			r := s.offer(rng, stationCapacity*percent/100, 10*time.Second)
			t.Logf("%d %%: %+v, limit %d", percent, r, s.limiter.Limit())
			if r.goodput < 0.9*stationCapacity {
				t.Errorf("at %d %% %.0f calls a second are accepted; want 90 %% of %d", percent, r.goodput, stationCapacity)
			}
			if r.p99 > 2*DefaultLatency {
				t.Errorf("at %d %% the p99 of accepted calls is %s; want at most twice the target %s", percent, r.p99, DefaultLatency)
			}
			if r.refusedWithin > 100*time.Millisecond {
				t.Errorf("at %d %% a call was refused after %s", percent, r.refusedWithin)
			}
		}
		s.offer(rng, stationCapacity/2, 10*time.Second)
		if r := s.offer(rng, stationCapacity*8/10, 10*time.Second); r.refused > 0 {
			t.Errorf("10 s after the overload %d calls are refused at 80 %% of the capacity", r.refused)
		}
	})
}

// TestAdaptiveLimiter_LongOverloadOfSlowCalls has calls that take more than the target even alone. They are not held below the capacity, and
// their duration does not creep up during four minutes of overload.
func TestAdaptiveLimiter_LongOverloadOfSlowCalls(t *testing.T) {
	const roundTrip = 50 * time.Millisecond
	inStation(t, roundTrip, func(t *testing.T, s *stubStation, rng *rand.Rand) {
		s.offer(rng, stationCapacity/2, 5*time.Second)
		if r := s.offer(rng, stationCapacity/2, 10*time.Second); r.refused > 0 {
			t.Errorf("at half of the capacity %d calls are refused", r.refused)
		}
		for minute := range 4 {
			r := s.offer(rng, stationCapacity*120/100, time.Minute)
			t.Logf("%+v, limit %d", r, s.limiter.Limit())
			if alone := stationSteps * (roundTrip + stationStep); r.goodput < 0.9*stationCapacity || r.p99 > 3*alone {
				t.Errorf("in minute %d of the overload: %+v; want 90 %% of the capacity, and a p99 of at most 3 × %s", minute, r, alone)
			}
		}
	})
}

// TestAdaptiveLimiter_Pause stops the processors for a second, as a dependency that hangs does. At most the calls that were admitted before
// wait for it, and three seconds later as much is accepted as before.
func TestAdaptiveLimiter_Pause(t *testing.T) {
	inStation(t, usualRoundTrip, func(t *testing.T, s *stubStation, rng *rand.Rand) {
		s.offer(rng, stationCapacity*8/10, 5*time.Second)
		for range cap(s.processors) {
			s.calls.Go(func() { s.work(time.Second) })
		}
		s.offer(rng, stationCapacity*8/10, 3*time.Second)
		if r := s.offer(rng, stationCapacity*8/10, 5*time.Second); r.goodput < 0.78*stationCapacity {
			t.Errorf("after a pause %.0f of %d calls a second are accepted", r.goodput, stationCapacity*8/10)
		}
	})
}

// TestAdaptiveLimiter_StallsAtLowLoad stops the processors for 100 ms again and again at a third of the capacity, as a disk does that syncs
// slowly. Calls are slow then, but not because there are too many, so that nothing is refused.
func TestAdaptiveLimiter_StallsAtLowLoad(t *testing.T) {
	for name, between := range map[string]time.Duration{"rare": 3 * time.Second, "frequent": 400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inStation(t, usualRoundTrip, func(t *testing.T, s *stubStation, rng *rand.Rand) {
				stop := make(chan struct{})
				defer close(stop)
				s.calls.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(between):
						}
						for range cap(s.processors) {
							s.calls.Go(func() { s.work(100 * time.Millisecond) })
						}
					}
				})
				if r := s.offer(rng, stationCapacity*3/10, time.Minute); r.refused > 0 {
					t.Errorf("%d calls are refused: %+v, limit %d", r.refused, r, s.limiter.Limit())
				}
			})
		})
	}
}

// TestAdaptiveLimiter_AfterOverload: a limit that an overload has lowered rises again also if the calls that follow are too few to reach it.
func TestAdaptiveLimiter_AfterOverload(t *testing.T) {
	now := time.Unix(0, 0)
	l := NewAdaptiveLimiter("calls", AdaptiveConfig{Max: 1024, Latency: DefaultLatency}, func() time.Time { return now })
	second := func(took time.Duration, atOnce int) {
		for range 20 {
			for range atOnce {
				l.enter()
			}
			now = now.Add(50 * time.Millisecond)
			for range atOnce {
				l.leave()
				l.record(took, true)
			}
		}
	}
	second(time.Millisecond, 2)
	for range 5 {
		second(time.Second, l.Limit())
	}
	if n := l.Limit(); n != minLimit {
		t.Fatalf("in an overload the limit is %d; want %d", n, minLimit)
	}
	for range 10 {
		second(time.Millisecond, 2)
	}
	if n := l.Limit(); n != initialLimit {
		t.Errorf("10 s after the overload the limit is %d; want %d again", n, initialLimit)
	}
}

// TestAdaptiveLimiter_RefusalsShowNothing has calls that take more than the target even alone, and twice as many that are refused at once, such as
// those without a token, or for what is sold out. The fast ones do not make the others slow by comparison.
func TestAdaptiveLimiter_RefusalsShowNothing(t *testing.T) {
	const roundTrip = 50 * time.Millisecond
	inStation(t, roundTrip, func(t *testing.T, s *stubStation, rng *rand.Rand) {
		stop := make(chan struct{})
		defer close(stop)
		s.calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second / (2 * stationCapacity)):
					if s.limiter.acquire(false) {
						s.limiter.leave()
						s.limiter.record(10*time.Microsecond, false)
					}
				}
			}
		})
		s.offer(rng, stationCapacity/2, 5*time.Second)
		if r := s.offer(rng, stationCapacity*8/10, 20*time.Second); r.goodput < 0.78*stationCapacity {
			t.Errorf("at four fifths of the capacity %d calls are refused: %+v, limit %d", r.refused, r, s.limiter.Limit())
		}
	})
}

func TestAdaptiveLimiter_UrgentCalls(t *testing.T) {
	l := NewAdaptiveLimiter("calls", AdaptiveConfig{Max: 8}, time.Now)
	for l.acquire(false) {
	}
	if n := l.InFlight(); n != 8 {
		t.Errorf("%d calls are in progress; want 8", n)
	}
	for l.acquire(true) {
	}
	if n := l.InFlight(); n != 10 || l.Shed() != 2 {
		t.Errorf("with urgent ones %d calls are in progress, and %d were refused; want 10 and 2", n, l.Shed())
	}
}

func TestLatencyWindow_Quantile(t *testing.T) {
	var w latencyWindow
	if q := w.quantile(0.9); q != 0 {
		t.Errorf("without calls the quantile is %s", q)
	}
	for i := range 1000 {
		w.add(time.Duration(i+1)*100*time.Microsecond, 0)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.9: 90 * time.Millisecond} {
		if got := w.quantile(q); got < want || got > want+want/windowSteps {
			t.Errorf("quantile %g is %s; want %s, or an eighth more", q, got, want)
		}
	}
}

// TestBucketOf_EveryDuration checks that each duration lies below the ceiling of its bucket and not below that of the bucket before.
func TestBucketOf_EveryDuration(t *testing.T) {
	for us := int64(0); us < 1<<24; us += 1 + us/100 {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		if d >= ceilingOf(b) || b > 0 && d < ceilingOf(b-1) {
			t.Fatalf("%s is in bucket %d, below %s", d, b, ceilingOf(b))
		}
	}
	if b := bucketOf(time.Hour); b != windowBuckets-1 {
		t.Errorf("an hour is in bucket %d of %d", b, windowBuckets)
	}
}
