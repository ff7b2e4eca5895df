package load

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressEvery is the pause between two lines of progress.
const progressEvery = time.Second

// Progress tells what goes on: on a terminal in one line that is written anew, elsewhere a line each time. A nil one is silent.
type Progress struct {
	W        io.Writer
	Terminal bool
}

func (p *Progress) say(format string, args ...any) {
	if p != nil {
		fmt.Fprintf(p.W, "spillway load: "+format+"\n", args...)
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
		tick := time.NewTicker(progressEvery)
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
	if !p.Terminal {
		fmt.Fprintln(p.W, line)
		return
	}
	fmt.Fprint(p.W, "\r\x1b[K"+line) // Back to the beginning, and clear what was there.
	if last {
		fmt.Fprintln(p.W)
	}
}

// short is a duration with three digits or so.
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
