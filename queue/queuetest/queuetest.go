// Package queuetest is the test suite that every adapter of package queue passes. Where adapters differ, the suite
// expects what they declare in queue.Features.
package queuetest

import (
	"testing"
	"time"

	"github.com/spillway/spillway/queue"
)

// Harness is one adapter on a private server, because the suite kills it.
type Harness struct {
	// Open makes a Broker on the server, which may be down. topics lists each topic with all of its groups.
	Open func(t testing.TB, topics map[string][]string) queue.Broker
	// Topic returns a topic without messages and groups that have received none, different ones in each call.
	Topic func(t testing.TB, groups int) (topic string, names []string)
	// UnknownGroup returns a group that does not exist on the server, and a function that creates it. It may be nil if
	// Features.CreatesGroups.
	UnknownGroup func(t testing.TB) (name string, create func())
	// Lease is used where the suite waits for the expiry of a lease: short, yet long enough for a few calls.
	Lease time.Duration
	// Server controls the server.
	Server Server
}

// Server can be killed and restarted with its data.
type Server interface {
	// Kill ends it at once, as kill -9 does.
	Kill(t testing.TB)
	// Restart starts it again and returns when it accepts connections.
	Restart(t testing.TB)
}

// Freezer is a Server that can also be frozen: it stops responding while its sockets stay open.
type Freezer interface {
	Server
	// Freeze stops the server, and Thaw resumes it.
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
		{"round trip", testRoundTrip},
		{"trace context", testTrace},
		{"too large or malformed", testRefused},
		{"largest body", testLargest},
		{"two shops on one topic", testShops},
		{"duplicate messages", testTwice},
		{"expired lease", testLeaseEnds},
		{"released lease", testRelease},
		{"dead consumer", testConsumerDeath},
		{"shared group", testShare},
		{"several groups", testGroups},
		{"unknown group", testUnknownGroup},
		{"cancelled context", testCancel},
		{"close", testClose},
		{"frozen server", testFrozen},
		{"server down at start", testDownAtStart},
		{"server killed under load", testKill},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}
