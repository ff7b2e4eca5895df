package realparts

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// lingerVariable makes the test's binary a server on the port in its value: see linger.
	lingerVariable = "REALPARTS_LINGER_ON_PORT"
	// lingerTime is how long its socket outlives its first thread.
	lingerTime = 500 * time.Millisecond
	// maxFailure is the maximum duration of a start that cannot succeed.
	maxFailure = 10 * time.Second
)

// lingerPort is set before main, while the code still runs on the first thread, and keeps it there.
var lingerPort = func() string {
	port := os.Getenv(lingerVariable)
	if port != "" {
		runtime.LockOSThread()
	}
	return port
}()

func TestMain(m *testing.M) {
	if lingerPort != "" {
		linger(lingerPort)
	}
	os.Exit(m.Run())
}

// linger is a server that ends like a Redis that is killed in fsync: its first thread is a zombie at once, another one
// holds the listening socket for some time.
func linger(port string) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-ended
	time.AfterFunc(lingerTime, func() { _ = l.Close(); os.Exit(0) })
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

func TestProc_StopWaitsForTheLastThread(t *testing.T) {
	for name, launch := range map[string]func(t *testing.T, port int) (*process, error){"child": lingeringChild, "adopted": lingeringOrphan} {
		t.Run(name, func(t *testing.T) {
			port := freePorts(t, 0)
			p := &Proc{t: t}
			p.start = func() (*process, error) {
				r, err := launch(t, port)
				if err != nil {
					return nil, err
				}
				err = r.started("the lingering server", func() bool { return !free(port) })
				return r, err
			}
			t.Cleanup(p.Kill9)
			p.run()
			p.Stop()
			if !free(port) {
				t.Error("the server is said to be gone, and its port is still taken")
			}
		})
	}
}

func lingering(port int) []string { return append(os.Environ(), lingerVariable+"="+strconv.Itoa(port)) }

func lingeringChild(_ *testing.T, port int) (*process, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = lingering(port)
	return child(cmd, port, os.DevNull)
}

// lingeringOrphan is started by a shell that has ended, as RocketMQ's servers are.
func lingeringOrphan(_ *testing.T, port int) (*process, error) {
	out, err := output(lingering(port), "sh", "-c", `setsid "$0" </dev/null >/dev/null 2>&1 & echo $!`, os.Args[0])
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return nil, err
	}
	return adopt(pid, port, os.DevNull)
}

// TestStartRedis_PortTaken checks that the Redis that already listens there is not mistaken for the one that could not
// start.
func TestStartRedis_PortTaken(t *testing.T) {
	_, port, err := net.SplitHostPort(StartRedis(t).Addr())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p, err := launchRedis(t.TempDir(), port, "always")
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a Redis on a taken port: %v; want an error with the end of its log", err)
	}
	if took := time.Since(began); took > maxFailure {
		t.Errorf("the start failed after %s; want at once", took)
	}
	if p == nil {
		return
	}
	if err := p.end(syscall.SIGKILL, killTimeout); err != nil {
		t.Error(err)
	}
}

// TestProcess_AnotherServerOnPort checks that a start keeps waiting, and fails when the process ends, while another
// server listens on the port.
func TestProcess_AnotherServerOnPort(t *testing.T) {
	port := freePorts(t, 0)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("no room"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := child(exec.Command("sleep", "0.3"), port, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.started("sleep", func() bool { return true }); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a start with another server on the port: %v; want the end of its log", err)
	}
}
