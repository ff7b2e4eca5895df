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

	"github.com/spillway/spillway/test/procfs"
)

const (
	// startTimeout is the maximum duration of the start of one server; RocketMQ's topics are routable after about 12 s
	// on an idle machine.
	startTimeout = 120 * time.Second
	// killTimeout is the maximum time from SIGKILL to the end: a thread in fsync ends when the disk is done, which
	// takes seconds on a busy one.
	killTimeout = 60 * time.Second
	// stopTimeout is the maximum time from SIGTERM to the end: a broker needs 20 s on an idle machine.
	stopTimeout = 90 * time.Second
	// commandTimeout is the maximum duration of a script; that of RocketMQ has timeouts of its own, which add up to 480
	// s for `up`.
	commandTimeout = 500 * time.Second
	// outputDelay is the time for which the output of an ended command is still read.
	outputDelay = 5 * time.Second
	// pollInterval is the time between two checks whether a starting server is ready.
	pollInterval = 20 * time.Millisecond
	// logTail is the number of log bytes in the error of a failure: the directory of the test is removed afterwards.
	logTail = 3000
)

// process is a running server. It ends with its last thread, which holds the listening socket until then: the state in
// /proc/PID/stat is that of the first thread only, and is Z while another one is still in fsync.
type process struct {
	pid   int
	port  int           // where it listens once it has started
	log   string        // its log file
	ended chan struct{} // closed at its end
}

// child starts cmd and reaps it: wait4 returns when its last thread has ended.
func child(cmd *exec.Cmd, port int, log string) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, port: port, log: log, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // The reason of its end is in its log.
		close(p.ended)
	}()
	return p, nil
}

// adopt observes a process that a script started in the background and that is no child of the test, so that wait4
// cannot be used. A pidfd becomes readable when the last thread of the process has ended, reaped or not, and never
// refers to a later process with the same number.
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

// started waits until ready returns true and this process itself listens on the port: another server there must not be
// mistaken for it. It fails at once when the process ends.
func (p *process) started(what string, ready func() bool) error {
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended while it started; the end of its log:\n%s", what, tail(p.log))
		case <-limit.C:
			return fmt.Errorf("%s was not ready on port %d within %s; the end of its log:\n%s", what, p.port, startTimeout, tail(p.log))
		case <-tick.C:
		}
		if ready() && (procfs.FS{}).Listens(p.pid, p.port) {
			return nil
		}
	}
}

// end sends the signal and waits until the process has ended.
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

// signal fails the test if the process has ended.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil {
		t.Fatalf("signal %v to process %d: %v; the end of its log:\n%s", s, p.pid, err, tail(p.log))
	}
}

// output runs a command that ends by itself, and returns its output. Its background processes may keep the output open,
// so it waits for that only for outputDelay.
func output(env []string, name string, args ...string) ([]byte, error) {
	return outputWithin(commandTimeout, env, name, args...)
}

// outputWithin is output with another time limit.
func outputWithin(limit time.Duration, env []string, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.WaitDelay = env, outputDelay
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("it did not end within %s: %w", limit, err)
	}
	return out, err
}

// tail returns the end of a log file.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTail):])
}
