package procfs

import (
	"sort"
	"sync"
	"time"
)

// sampleInterval is the time between two samples: 10 reads of a stat file a second and process cost less than 1 ms of CPU.
const sampleInterval = 100 * time.Millisecond

// sample is the value of a counter at a time.
type sample struct {
	at    time.Time
	value float64
}

// series are the samples of one counter that only grows.
type series []sample

// at returns the value at the time, interpolated between the samples around it; the first or last value outside of them.
func (s series) at(t time.Time) float64 {
	if len(s) == 0 {
		return 0
	}
	i := sort.Search(len(s), func(i int) bool { return !s[i].at.Before(t) })
	switch i {
	case 0:
		return s[0].value
	case len(s):
		return s[len(s)-1].value
	}
	a, b := s[i-1], s[i]
	return a.value + (b.value-a.value)*float64(t.Sub(a.at))/float64(b.at.Sub(a.at))
}

// counter is one source with its samples.
type counter struct {
	name    string
	read    func() (float64, error)
	samples series
}

// Sampler samples counters in the background, such as the CPU time of processes, so that their growth between any two times of the past is
// known. It is safe for concurrent use.
type Sampler struct {
	mu       sync.Mutex
	counters []*counter
	stop     chan struct{}
	done     chan struct{}
}

// NewSampler starts a sampler. Close it.
func NewSampler() *Sampler {
	s := &Sampler{stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *Sampler) run() {
	defer close(s.done)
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Sample()
		case <-s.stop:
			return
		}
	}
}

// Close stops the sampler.
func (s *Sampler) Close() {
	close(s.stop)
	<-s.done
}

// Process adds the CPU time of the process, in microseconds. Several processes of one name are summed.
func (s *Sampler) Process(name string, pid int) {
	s.Counter(name, func() (float64, error) {
		cpu, err := FS{}.CPU(pid)
		return float64(cpu) / float64(time.Microsecond), err
	})
}

// Counter adds a counter and takes its first sample. A read that fails adds no sample, as that of a process that has ended.
func (s *Sampler) Counter(name string, read func() (float64, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &counter{name: name, read: read}
	s.counters = append(s.counters, c)
	c.sample()
}

// Sample takes a sample of each counter now.
func (s *Sampler) Sample() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.counters {
		c.sample()
	}
}

func (c *counter) sample() {
	if v, err := c.read(); err == nil {
		c.samples = append(c.samples, sample{at: time.Now(), value: v})
	}
}

// Growth returns how much each counter grew between the times. A counter without growth is left out.
func (s *Sampler) Growth(from, to time.Time) map[string]float64 {
	s.Sample() // The last one may be older than to.
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]float64{}
	for _, c := range s.counters {
		if grown := c.samples.at(to) - c.samples.at(from); grown > 0 {
			out[c.name] += grown
		}
	}
	return out
}
