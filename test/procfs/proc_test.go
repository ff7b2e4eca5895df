package procfs

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParseCPU_StatFiles(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]time.Duration{
		"42 (mysqld) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 7 7 20 0 38 0 1 2 3":       2 * time.Second,
		"42 (a name) (x) R 1 42 42 0 -1 4194560 9 0 0 0 1 0 7 7 20 0 38 0 1 2 3":      10 * time.Millisecond,
		"42 (java) S 1 42 42 0 -1 4194560 9 0 0 0 0 0 900 900 20 0 38 0 11 22 33 444": 0,
	} {
		if got, err := parseCPU(stat); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", stat, got, err, want)
		}
	}
	for _, stat := range []string{"", "42 (short) S 1 42", "42 (x) S 1 2 3 4 5 6 7 8 9 10 many 0 1"} {
		if _, err := parseCPU(stat); !errors.Is(err, errStat) {
			t.Errorf("%q: %v", stat, err)
		}
	}
}

// write creates a file of a fake proc file system.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fakeProc returns a file system in which process 77 listens on port 6379 and 78 is a forwarder of port 3306.
func fakeProc(t *testing.T) FS {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "net", "tcp"), "  sl  local_address rem_address   st\n"+
		"   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1111 1\n"+
		"   1: 0100007F:18EB 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 2222 1\n"+
		"   2: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 3333 1\n")
	write(t, filepath.Join(root, "net", "tcp6"), "  sl  local_address rem_address   st\n"+
		"   0: 00000000000000000000000000000000:0CEA 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4444 1\n")
	for pid, socket := range map[string]string{"76": "socket:[2222]", "77": "socket:[1111]", "78": "socket:[4444]"} {
		write(t, filepath.Join(root, pid, "comm"), map[string]string{"78": "docker-proxy\n"}[pid])
		if err := os.MkdirAll(filepath.Join(root, pid, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(socket, filepath.Join(root, pid, "fd", "3")); err != nil {
			t.Fatal(err)
		}
	}
	return FS{Root: root}
}

func TestListener_FakeProc(t *testing.T) {
	t.Parallel()
	fs := fakeProc(t)
	if pid, err := fs.Listener(6379); err != nil || pid != 77 {
		t.Errorf("port 6379: %d, %v", pid, err)
	}
	for port, want := range map[int]error{3306: errForwarder, 8080: ErrNoListener, 1: ErrNoListener} {
		if pid, err := fs.Listener(port); !errors.Is(err, want) {
			t.Errorf("port %d: %d, %v", port, pid, err)
		}
	}
}

func TestListener_ThisProcess(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	pid, err := FS{}.Listener(int(addr.Port()))
	if err != nil || pid != os.Getpid() {
		t.Errorf("the listener is %d, %v; this process is %d", pid, err, os.Getpid())
	}
	if cpu, err := (FS{}).CPU(pid); err != nil || cpu < 0 {
		t.Errorf("CPU of this process: %s, %v", cpu, err)
	}
}

func TestSeries_Interpolation(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1000, 0)
	s := series{{begin, 10}, {begin.Add(time.Second), 20}, {begin.Add(3 * time.Second), 40}}
	for after, want := range map[time.Duration]float64{
		-time.Second: 10, 0: 10, 500 * time.Millisecond: 15, time.Second: 20, 2 * time.Second: 30, 3 * time.Second: 40, time.Minute: 40,
	} {
		if got := s.at(begin.Add(after)); got != want {
			t.Errorf("after %s: %v, want %v", after, got, want)
		}
	}
	if got := (series{}).at(begin); got != 0 {
		t.Errorf("without samples: %v", got)
	}
}

func TestSampler_Growth(t *testing.T) {
	t.Parallel()
	s := NewSampler()
	defer s.Close()
	var value float64
	from := time.Now()
	s.Counter("work", func() (float64, error) { value += 5; return value, nil })
	s.Counter("gone", func() (float64, error) { return 0, errStat })
	s.Sample()
	to := time.Now()
	if got := s.Growth(from, to); got["work"] < 5 || len(got) != 1 {
		t.Errorf("growth %v", got)
	}
	if got := s.Growth(to.Add(time.Hour), to.Add(2*time.Hour)); len(got) != 0 {
		t.Errorf("growth of the future: %v", got)
	}
}
