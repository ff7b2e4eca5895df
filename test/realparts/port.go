package realparts

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// minPort and maxPort bound the ports of private servers. They are below those that Linux assigns to outgoing
	// connections (32768 to 60999), one of which could otherwise take the port of a killed server before its restart;
	// and above those of the shared servers.
	minPort, maxPort = 20_000, 32_000
	// maxPortTries bounds the search; most ports are free.
	maxPortTries = 1000
)

// given are the ports that this process handed out, by their locks: their servers may be down at the moment.
var given sync.Map

// portLocks begins the name of the user's folder with a file for each port. The process that has handed a port out holds the file's lock until it ends: the tests of several packages
// run at once, and one must not take the port of a server that another one has killed and starts again.
const portLocks = "spillway-test-ports-"

// FreePort returns a port of 127.0.0.1 that no process listens on, and that stays free while its server is down.
func FreePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(freePorts(t, 0))
}

// FreePorts returns the first of n ports in a row, each as FreePort returns one.
func FreePorts(t testing.TB, n int) int {
	t.Helper()
	offsets := make([]int, n)
	for i := range offsets {
		offsets[i] = i
	}
	return freePorts(t, offsets...)
}

// FreeAddr returns 127.0.0.1 with a FreePort.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", FreePort(t))
}

// freePorts returns a port that is free together with those at the offsets from it, including 0.
func freePorts(t testing.TB, offsets ...int) int {
	t.Helper()
	for range maxPortTries {
		port := minPort + rand.IntN(maxPort-minPort)
		if takeAll(port, offsets) {
			return port
		}
	}
	t.Fatalf("no ports at the offsets %v are free between %d and %d", offsets, minPort, maxPort)
	return 0
}

func takeAll(port int, offsets []int) bool {
	for _, o := range offsets {
		lock, err := lockPort(port + o)
		if err != nil {
			return false // The ports taken before stay taken: there are enough.
		}
		if given.Store(port+o, lock); !free(port + o) {
			return false
		}
	}
	return true
}

// lockPort returns the locked file of the port. Another lock of it fails, also one of the same process, because each opens the file anew.
func lockPort(port int) (*os.File, error) {
	dir := filepath.Join(os.TempDir(), portLocks+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
