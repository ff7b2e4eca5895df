package realparts

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Proc is a private server of a test, which can be killed, frozen and restarted on the same port while clients are
// connected.
type Proc struct {
	t     testing.TB
	addr  string
	start func() (*process, error) // returns when the server is ready
	now   *process                 // nil while there is none
}

// Addr returns host:port; it stays the same over restarts.
func (p *Proc) Addr() string { return p.addr }

// Kill9 ends the server by SIGKILL, and returns when its last thread has ended.
func (p *Proc) Kill9() { p.t.Helper(); p.end(syscall.SIGKILL, killTimeout) }

// Stop ends the server by SIGTERM, and returns when its last thread has ended.
func (p *Proc) Stop() { p.t.Helper(); p.end(syscall.SIGTERM, stopTimeout) }

func (p *Proc) end(s syscall.Signal, limit time.Duration) {
	p.t.Helper()
	if p.now == nil {
		return
	}
	if err := p.now.end(s, limit); err != nil {
		p.t.Fatal(err)
	}
	p.now = nil
}

// Restart starts it again on the same port with its data.
func (p *Proc) Restart() {
	p.t.Helper()
	p.Kill9()
	p.run()
}

// run fails the test quickly if the server ends while it starts.
func (p *Proc) run() {
	p.t.Helper()
	var err error
	if p.now, err = p.start(); err != nil {
		p.t.Fatal(err)
	}
}

// Pause freezes the server: its connections stay open, but it does not respond.
func (p *Proc) Pause() { p.t.Helper(); p.now.signal(p.t, syscall.SIGSTOP) }

// Resume ends the freeze.
func (p *Proc) Resume() { p.t.Helper(); p.now.signal(p.t, syscall.SIGCONT) }

// StartRedis starts a private Redis with an append-only file that is synced on every write, so that a kill loses
// nothing acknowledged. With everysec a write also waits while an earlier fsync is in progress, which takes long on a
// busy disk.
func StartRedis(t testing.TB) *Proc {
	t.Helper()
	dir, port := serverDir(t), FreePort(t)
	return startRedis(t, dir, port, "always")
}

// startRedis registers the cleanup before the start, because a failed start may leave a process.
func startRedis(t testing.TB, dir, port, fsync string) *Proc {
	t.Helper()
	p := &Proc{t: t, addr: net.JoinHostPort("127.0.0.1", port)}
	p.start = func() (*process, error) { return launchRedis(dir, port, fsync) }
	t.Cleanup(p.Kill9)
	p.run()
	return p
}

func launchRedis(dir, port, fsync string) (*process, error) {
	log := filepath.Join(dir, "log")
	return launch("Redis", nil, append(redisArgs(dir, port, fsync, log), "--bind", "127.0.0.1"), "127.0.0.1", port, log, redisReady)
}

// redisArgs is the command line of a Redis, without the address that it listens on.
func redisArgs(dir, port, fsync, log string) []string {
	return []string{
		"redis-server", "--port", port, "--dir", dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", "",
		"--repl-diskless-sync-delay", "0", "--maxmemory-policy", "noeviction", "--logfile", log,
	}
}

// redisReady is false while Redis still loads its file.
func redisReady(addr string) bool {
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
