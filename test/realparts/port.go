package realparts

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

const (
	// minPort and maxPort bound the ports of private servers. They are below those that Linux assigns to outgoing
	// connections (32768 to 60999), one of which could otherwise take the port of a killed server before its restart;
	// and above those of the shared servers.
	minPort, maxPort = 20_000, 32_000
	// maxPortTries bounds the search; most ports are free.
	maxPortTries = 1000
)

// given are the ports that this process handed out: their servers may be down at the moment.
var given sync.Map

// FreePort returns a port of 127.0.0.1 that no process listens on, and that stays free while its server is down.
func FreePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(freePorts(t, 0))
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
		if _, taken := given.LoadOrStore(port+o, true); taken || !free(port+o) {
			return false // The ports taken before stay taken: there are enough.
		}
	}
	return true
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
