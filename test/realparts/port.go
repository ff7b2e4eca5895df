package realparts

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

const (
	// portMin and portMax bound the ports of private servers. They lie below those that Linux gives to outgoing connections (32768 to
	// 60999), one of which would otherwise take the port of a server that was killed before it is back; and above those of the shared
	// servers.
	portMin, portMax = 20_000, 32_000
	// portTries bounds the search; most ports are free.
	portTries = 1000
)

// given are the ports that this process gave away: their servers may be away just now.
var given sync.Map

// FreePort is a port of 127.0.0.1 that nothing listens on, and that stays free while its server is away.
func FreePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(freePorts(t, 0))
}

// FreeAddr is 127.0.0.1 with a FreePort.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", FreePort(t))
}

// freePorts is a port that is free together with those at the offsets from it, 0 among them.
func freePorts(t testing.TB, offsets ...int) int {
	t.Helper()
	for range portTries {
		port := portMin + rand.IntN(portMax-portMin)
		if takeAll(port, offsets) {
			return port
		}
	}
	t.Fatalf("no ports at the offsets %v are free between %d and %d", offsets, portMin, portMax)
	return 0
}

func takeAll(port int, offsets []int) bool {
	for _, o := range offsets {
		if _, taken := given.LoadOrStore(port+o, true); taken || !free(port+o) {
			return false // What was taken before it stays so: there are enough.
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
