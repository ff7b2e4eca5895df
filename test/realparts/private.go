package realparts

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout bounds the start of one server; RocketMQ's topics are routable after about 12 s.
	startTimeout = 120 * time.Second
	// pollEvery is the pause between two looks at whether it answers.
	pollEvery = 20 * time.Millisecond
)

// Proc is a server of the test's own, to be killed, frozen and started again on the same port while clients are connected.
type Proc struct {
	t     testing.TB
	addr  string
	start func() (pid int)
	pid   int
}

// Addr is host:port; it stays over restarts.
func (p *Proc) Addr() string { return p.addr }

// Kill9 ends the server without a warning, and returns when it is gone.
func (p *Proc) Kill9() {
	p.t.Helper()
	if p.pid == 0 {
		return
	}
	_ = syscall.Kill(p.pid, syscall.SIGKILL) // It may have ended by itself.
	await(p.t, "the killed server to end", func() bool { return gone(p.pid) })
	p.pid = 0
}

// Stop ends the server as an operator does, and returns when it is gone.
func (p *Proc) Stop() {
	p.t.Helper()
	if p.pid == 0 {
		return
	}
	p.signal(syscall.SIGTERM)
	await(p.t, "the stopped server to end", func() bool { return gone(p.pid) })
	p.pid = 0
}

// gone says whether the process has ended, be it that nobody has waited for it yet.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// Restart starts it again on the same port with the data that it left.
func (p *Proc) Restart() {
	p.t.Helper()
	p.Kill9()
	p.pid = p.start()
}

// Pause freezes the server: its connections stay open, and nothing answers.
func (p *Proc) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Proc) Resume() { p.signal(syscall.SIGCONT) }

func (p *Proc) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// StartRedis starts a Redis with an append-only file in a directory of the test's own. Unlike with everysec, a kill loses nothing that it
// had acknowledged: that setting lets even the write wait while an earlier fsync is under way, which takes long on a busy disk.
func StartRedis(t testing.TB) *Proc {
	t.Helper()
	dir, port := t.TempDir(), FreePort(t)
	p := &Proc{t: t, addr: "127.0.0.1:" + port}
	p.start = func() int {
		cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "yes",
			"--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction", "--logfile", filepath.Join(dir, "log"))
		if err := cmd.Start(); err != nil {
			t.Fatalf("start a Redis: %v; run `make services`, which installs it", err)
		}
		go cmd.Wait() //nolint:errcheck // It is killed.
		await(t, "Redis", func() bool { return redisAnswers(p.addr) })
		return cmd.Process.Pid
	}
	p.pid = p.start()
	t.Cleanup(p.Kill9)
	return p
}

// redisAnswers is false while Redis still loads its file.
func redisAnswers(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	buf := make([]byte, 16)
	n, _ := c.Read(buf)
	return strings.HasPrefix(string(buf[:n]), "+PONG")
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal(fmt.Sprint("waited in vain for ", what))
		}
		<-tick.C
	}
}
