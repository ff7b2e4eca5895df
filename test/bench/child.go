package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is the maximum duration of the start of a server; RocketMQ's first route takes some seconds.
	startTimeout = 30 * time.Second
	// stopTimeout is the maximum duration of a graceful shutdown: longer than the server's own timeouts for requests
	// and queue together.
	stopTimeout = 30 * time.Second
	// startInterval is the time between two checks whether a child is ready.
	startInterval = 50 * time.Millisecond
	// logTail is the number of log lines in the error of a failed child.
	logTail = 20
)

// child is a server in a process of its own.
type child struct {
	name string
	addr string // where it listens, if it does
	cmd  *exec.Cmd
	exit chan error
	log  *os.File // nil once it has ended

	logPath string
}

// start runs a server on a free port and returns when it is ready. The stage stops it at the latest.
func (s *stage) start(ctx context.Context, name, binary string, env []string, args ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c, err := s.spawn(name, binary, env, append(args, "--listen", addr)...)
	if err != nil {
		return nil, err
	}
	c.addr = addr
	err = c.ready(ctx)
	return c, err
}

// spawn runs a program that does not end by itself. The stage stops it at the latest.
func (s *stage) spawn(name, binary string, env []string, args ...string) (*child, error) {
	log, err := os.CreateTemp(s.logs, name+"-*.log")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, env, log, log
	// Ctrl-C is handled by this process, which ends its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	c := &child{name: name, cmd: cmd, log: log, logPath: log.Name(), exit: make(chan error, 1)}
	s.children = append(s.children, c)
	go func() { c.exit <- cmd.Wait() }()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready polls the child until it returns 200 for /readyz.
func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(startInterval)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-c.exit:
			c.exit <- err // for stop
			return fmt.Errorf("%s ended instead of getting ready: %w\n%s", c.name, err, c.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready within %s: %w\n%s", c.name, startTimeout, ctx.Err(), c.tail())
		case <-tick.C:
		}
	}
}

// stop ends the child, gracefully first, and returns when it has ended. Further calls have no effect.
func (c *child) stop() error {
	if c.log == nil {
		return nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // It may have ended.
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-c.exit:
	case <-timer.C:
		progress("%s did not end within %s and is killed", c.name, stopTimeout)
		_ = c.cmd.Process.Kill()
		<-c.exit
	}
	err := c.log.Close()
	c.log = nil
	return err
}

// tail returns the end of the child's log.
func (c *child) tail() string {
	lines := c.lines(func(string) bool { return true })
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}

// complaints returns the number of the child's warnings and the last one; empty if there were none.
func (c *child) complaints() string {
	lines := c.lines(func(line string) bool {
		return strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")
	})
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%s warned %d times; first: %s; last: %s", c.name, len(lines), lines[0], lines[len(lines)-1])
}

// lines returns the selected lines of the log.
func (c *child) lines(wanted func(string) bool) []string {
	f, err := os.Open(c.logPath)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // It was only read.
	var out []string
	for in := bufio.NewScanner(f); in.Scan(); {
		if wanted(in.Text()) {
			out = append(out, in.Text())
		}
	}
	return out
}
