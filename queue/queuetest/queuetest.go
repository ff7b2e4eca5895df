// Package queuetest is the suite that every adapter of package queue passes. Where adapters differ, the suite follows
// what they declare in queue.Features.
package queuetest

import (
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// Harness is one adapter on one server that belongs to the suite alone, because the suite kills it.
type Harness struct {
	// Open makes a Broker on the server, which may be down. topics names each topic and all of its groups.
	Open func(t testing.TB, topics map[string][]string) queue.Broker
	// Topic hands out a topic that holds no message and groups that have seen none, never the same ones again.
	Topic func(t testing.TB, groups int) (topic string, names []string)
	// UnknownGroup hands out a group that the server does not know, and a function that creates it. It may be nil when
	// Features.CreatesGroups.
	UnknownGroup func(t testing.TB) (name string, create func())
	// Lease is what the suite asks for where it waits for the end of a lease: short, yet long enough for a few calls.
	Lease time.Duration
	// Server is the server.
	Server Server
}

// Server can be killed and started again with the data that it had.
type Server interface {
	// Kill ends it at once, as kill -9 does.
	Kill(t testing.TB)
	// Restart starts it again and returns when it accepts connections.
	Restart(t testing.TB)
}

// Freezer is a Server that can also be stopped from answering while its sockets stay open.
type Freezer interface {
	Server
	// Freeze stops it, and Thaw lets it go on.
	Freeze(t testing.TB)
	Thaw(t testing.TB)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"messages arrive as they were sent", testRoundTrip},
		{"trace context travels", testTrace},
		{"what is too large or malformed is refused", testRefused},
		{"the largest body fits", testLargest},
		{"two shops on one topic", testShops},
		{"the same message twice", testTwice},
		{"a lease that ran out", testLeaseEnds},
		{"a lease given back", testRelease},
		{"a consumer that died", testConsumerDeath},
		{"consumers of a group share", testShare},
		{"each group gets everything", testGroups},
		{"a group that does not exist yet", testUnknownGroup},
		{"the end of a context", testCancel},
		{"close", testClose},
		{"a frozen server", testFrozen},
		{"a server that is down at start", testDownAtStart},
		{"a server killed while messages flow", testKill},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}
