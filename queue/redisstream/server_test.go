package redisstream_test

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// real is a redis-server of its own, with an append-only file.
type real struct {
	dir  string
	port int
	cmd  *exec.Cmd
}

func startReal(t testing.TB) *real {
	t.Helper()
	r := &real{dir: t.TempDir(), port: freePort(t)}
	r.Restart(t)
	t.Cleanup(func() { r.Kill(t) })
	return r
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *real) addr() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

func (r *real) Restart(t testing.TB) {
	t.Helper()
	r.cmd = exec.Command("redis-server", "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start redis-server: run `make services`: %v", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", r.addr())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen on %s: %v", r.addr(), err)
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // There is no signal to wait for.
	}
}

func (r *real) Kill(t testing.TB) {
	t.Helper()
	if r.cmd == nil {
		return
	}
	r.signal(t, syscall.SIGKILL)
	_ = r.cmd.Wait()
	r.cmd = nil
}

func (r *real) Freeze(t testing.TB) { t.Helper(); r.signal(t, syscall.SIGSTOP) }

func (r *real) Thaw(t testing.TB) { t.Helper(); r.signal(t, syscall.SIGCONT) }

func (r *real) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal redis-server: %v", err)
	}
}
