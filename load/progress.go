package load

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
)

// progressInterval is the time between two lines of progress.
const progressInterval = time.Second

// Progress reports progress: on a terminal in one line that is overwritten, otherwise in one line per report. A nil
// Progress is silent.
type Progress struct {
	W        io.Writer
	Terminal bool
	// OnFigures, if set, gets the figures of a load that is being sent, with each line.
	OnFigures func(Figures)
}

// Figures are those of a load so far. Durations are in milliseconds; the percentiles are of the last second.
type Figures struct {
	Seconds  float64 `json:"seconds"`
	Accepted int64   `json:"accepted"`
	SoldOut  int64   `json:"soldOut"`
	Shed     int64   `json:"shed"`
	Failed   int64   `json:"failed"`
	Other    int64   `json:"other"`
	NotSent  int64   `json:"notSent"`
	Retries  int64   `json:"retries"`
	InFlight int64   `json:"inFlight"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

func (p *Progress) figures(f Figures) {
	if p != nil && p.OnFigures != nil {
		p.OnFigures(f)
	}
}

func (p *Progress) report(format string, args ...any) {
	if p != nil {
		fmt.Fprintln(p.W, "spillway load: "+order.Printable(fmt.Sprintf(format, args...)))
	}
}

// every writes the line once a second until stop is called, which writes it a last time.
func (p *Progress) every(line func() string) (stop func()) {
	if p == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.write(line(), false)
			case <-done:
				p.write(line(), true)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func (p *Progress) write(line string, last bool) {
	line = order.Printable(line)
	if !p.Terminal {
		fmt.Fprintln(p.W, line)
		return
	}
	fmt.Fprint(p.W, "\r\x1b[K"+line) // Move to the start of the line, and clear it.
	if last {
		fmt.Fprintln(p.W)
	}
}

// short formats a duration with about three digits.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
