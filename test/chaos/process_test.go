package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// rebirth is the pause before a process that ended by itself is started again, as a supervisor does.
	rebirth = time.Second
	// stopTimeout bounds a graceful end.
	stopTimeout = 60 * time.Second
	// killTimeout bounds the end after SIGKILL: the kernel waits for a disk.
	killTimeout = 60 * time.Second
)

// process is one process of the shop: the server, or one worker.
type process struct {
	*harness
	name string
	args []string
	url  string // of a server
	env  []string
	// prefix begins its command line, and ownEnv overrides the environment of all.
	prefix, ownEnv []string

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil while it is not to run
	gone chan struct{} // closed when cmd has ended
	died int           // how often it ended without a signal of this test
}

func (p *process) logPath() string { return filepath.Join(p.dir, p.name+".log") }

// Restart starts it, after its end if it runs. The server is waited for.
func (p *process) Restart() {
	p.t.Helper()
	p.Kill9()
	p.mu.Lock()
	err := p.launch()
	p.mu.Unlock()
	if err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	if p.url != "" {
		p.ready(p.url)
	}
}

// launch is called with the lock held.
func (p *process) launch() error {
	log, err := os.OpenFile(p.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // The process has its own.
	line := slices.Concat(p.prefix, []string{binary}, p.args)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	// Ctrl-C is for the test, which ends its processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	p.cmd, p.gone = cmd, gone
	go p.watch(cmd, gone)
	return nil
}

// watch starts it again when it ends by itself.
func (p *process) watch(cmd *exec.Cmd, gone chan struct{}) {
	_ = cmd.Wait() // Its log has the reason.
	close(gone)
	timer := time.NewTimer(rebirth)
	defer timer.Stop()
	p.mu.Lock()
	wanted := p.cmd == cmd
	if wanted {
		p.died++
	}
	p.mu.Unlock()
	if !wanted {
		return
	}
	<-timer.C
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == cmd {
		_ = p.launch() // If not even that works, the drain does not end.
	}
}

// Kill9 ends it without a warning and returns when it is gone.
func (p *process) Kill9() { p.end(syscall.SIGKILL) }

// Stop ends it as an operator does.
func (p *process) Stop() { p.end(syscall.SIGTERM) }

func (p *process) end(s syscall.Signal) {
	p.mu.Lock()
	cmd, gone := p.cmd, p.gone
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(s) // It may have ended by itself.
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
		p.t.Errorf("%s did not end within %s of %v", p.name, stopTimeout, s)
		_ = cmd.Process.Kill()
		select {
		case <-gone:
		case <-time.After(killTimeout):
			p.t.Errorf("%s did not end within %s of SIGKILL", p.name, killTimeout)
		}
	}
}

// Pause freezes it.
func (p *process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *process) Resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // It may have ended by itself.
	}
}

// noWorkerRestarts: a process may end by itself when what it needs is away as it starts, but never by a panic.
func (h *harness) noWorkerRestarts() {
	h.t.Helper()
	var died []string
	for _, p := range h.shop {
		if p.died > 0 {
			died = append(died, fmt.Sprintf("%s %d times", p.name, p.died))
		}
	}
	for _, line := range h.grep("panic:") {
		h.t.Error(line)
	}
	if len(died) > 0 {
		h.logf("ended by themselves: %s", strings.Join(died, ", "))
	}
}
