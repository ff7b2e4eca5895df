//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pseudoTerminal is a terminal whose screen the test reads.
type pseudoTerminal struct {
	screen, end *os.File

	mu   sync.Mutex
	text string
}

func openPseudoTerminal(t *testing.T) *pseudoTerminal {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	end, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pseudoTerminal{screen: screen, end: end}
	var reading sync.WaitGroup
	reading.Go(p.read)
	t.Cleanup(func() {
		_, _ = end.Close(), screen.Close()
		reading.Wait()
	})
	return p
}

func (p *pseudoTerminal) read() {
	buffer := make([]byte, 1<<16)
	for {
		n, err := p.screen.Read(buffer)
		p.mu.Lock()
		p.text += string(buffer[:n])
		p.mu.Unlock()
		if err != nil && err != io.EOF {
			return
		}
	}
}

func (p *pseudoTerminal) resize(t *testing.T, columns, rows uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(p.end.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a text on the screen, after what it had before.
func (p *pseudoTerminal) eventually(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(childTimeout); ; {
		p.mu.Lock()
		i := strings.Index(p.text, want)
		if i >= 0 {
			p.text = p.text[i+len(want):]
		}
		rest := p.text
		p.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no %q on the screen: %q", want, rest)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestTop_OnATerminal draws on the alternate screen, in colours, for its size; and leaves the terminal as it was.
func TestTop_OnATerminal(t *testing.T) {
	emptyEnvironment(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	url, dir := startShop(t)
	p := openPseudoTerminal(t)
	p.resize(t, 200, 50)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"top", "--url", url, "--data-dir", dir, "--interval", "1m"}, p.end, io.Discard)
	}()
	p.eventually(t, ansiOpen+ansiHome+ansiTones[toneHead]+"spillway top")
	p.eventually(t, ansiBelow)
	p.resize(t, 12, 4)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, ansiHome+ansiTones[toneHead]+"spillway top"+ansiReset+ansiEOL)
	p.eventually(t, "\r\n(") // the beginning of how many lines are hidden
	p.eventually(t, ansiBelow)
	stop()
	p.eventually(t, ansiClose)
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
