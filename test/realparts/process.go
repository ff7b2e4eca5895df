package realparts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// startTimeout bounds the start of one server that lives; RocketMQ's topics are routable after about 12 s on an idle machine.
	startTimeout = 120 * time.Second
	// killTimeout bounds the end after SIGKILL: a thread in fsync ends when the disk is done, which takes seconds on a busy one.
	killTimeout = 60 * time.Second
	// stopTimeout bounds the end after SIGTERM: a broker needs 20 s on an idle machine.
	stopTimeout = 90 * time.Second
	// commandTimeout bounds a script; that of RocketMQ has limits of its own, which add up to 150 s for `up`.
	commandTimeout = 180 * time.Second
	// outputDelay is how long the output of a command that has ended is read on.
	outputDelay = 5 * time.Second
	// pollInterval is the time between two checks whether a starting server answers.
	pollInterval = 20 * time.Millisecond
	// logTail is how many bytes of a log a failure shows: the directory of the test is gone when somebody wants to read it.
	logTail = 3000
)

// process is a running server. Its end is the end of its last thread, which holds the listening socket until then: the state in
// /proc/PID/stat is that of the first thread only, and says Z while another one is still in fsync.
type process struct {
	pid   int
	port  int           // it listens there when it has started
	log   string        // its log file
	ended chan struct{} // closed at its end
}

// child starts cmd. It is reaped here: wait4 returns when no thread of it is left.
func child(cmd *exec.Cmd, port int, log string) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, port: port, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // Its log says why it ended.
		close(p.ended)
	}()
	return p, nil
}

// adopt observes a process that a script left behind, which is no child of the test: wait4 refuses it. A pidfd becomes readable when no
// thread of the process is left, reaped or not, and it never means another process that got the same number later.
func adopt(pid, port int, log string) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd of process %d: %w; the end of its log:\n%s", pid, err, tail(log))
	}
	p := &process{pid: pid, port: port, log: log, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer func() { _ = unix.Close(fd) }()
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return p, nil
}

// started waits until the server answers and the answer is its own: another one that still listens on the port must not be taken for it.
// It fails at once when the process ends.
func (p *process) started(what string, answers func() bool) error {
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended while it started; the end of its log:\n%s", what, tail(p.log))
		case <-limit.C:
			return fmt.Errorf("%s did not answer on port %d within %s; the end of its log:\n%s", what, p.port, startTimeout, tail(p.log))
		case <-tick.C:
		}
		if answers() && listens(p.pid, p.port) {
			return nil
		}
	}
}

// end sends the signal and waits until the process is gone.
func (p *process) end(s syscall.Signal, limit time.Duration) error {
	_ = syscall.Kill(p.pid, s) // It may have ended by itself.
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
		return fmt.Errorf("process %d did not end within %s of %v; the end of its log:\n%s", p.pid, limit, s, tail(p.log))
	}
}

// signal is for a process that must be there.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil {
		t.Fatalf("signal %v to process %d: %v; the end of its log:\n%s", s, p.pid, err, tail(p.log))
	}
}

// output runs a command that ends by itself, and returns what it wrote. What it leaves in the background may keep its output open, so
// that is only waited for a moment.
func output(env []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.WaitDelay = env, outputDelay
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("it did not end within %s: %w", commandTimeout, err)
	}
	return out, err
}

// tail is the end of a log file.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}
