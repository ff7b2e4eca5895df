package chaos

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// oldPrimaryAway is for how long the primary is frozen or cut off: long enough for a failover and for all that is wrong after one.
const oldPrimaryAway = 30 * time.Second

// insideStops is after how long a server that is cut off with the old primary accepts no more orders: when SQL shows it the next epoch.
const insideStops = 10 * time.Second

// unusedTimeout bounds the time in which the old primary notices, when it goes on, that its clients have left.
const unusedTimeout = 20 * time.Second

// sentinelScenarios are failovers of Redis.
func sentinelScenarios() []scenario {
	return []scenario{
		{name: "sentinel", redis: redisSentinel, moves: []move{
			{kind: moveKill, name: "had its primary killed", do: (*round).killPrimary},
			{kind: moveFreeze, name: "had its primary frozen", do: (*round).freezePrimary},
		}},
		{name: "partition", redis: redisApart, unable: noNamespaces, first: true, moves: []move{
			{kind: "cut", name: "had its primary cut off with every second buyer", do: (*round).cutPrimaryOff},
		}},
	}
}

// noNamespaces is why no network namespace can be made here.
func noNamespaces() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root, for network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("it needs `ip`, for network namespaces: apt-get install iproute2")
	}
	return nil
}

// killPrimary kills the primary, which comes back as a replica.
func (r *round) killPrimary() {
	p := &primaryRedis{redis: r.sentinels}
	lost := r.market.losing()
	p.Kill9()
	p.redis.AwaitFailover(p.old.Addr())
	lost()
	r.market.next("the Sentinels had decided")
	r.pause(upTo(r.rng, r.atMost(awayMax)))
	p.Restart()
	r.unused(p.old)
}

// freezePrimary freezes the primary until long after a failover. It is still a primary, for itself, when it goes on.
func (r *round) freezePrimary() {
	p := &primaryRedis{redis: r.sentinels}
	lost := r.market.losing()
	p.Pause()
	p.redis.AwaitFailover(p.old.Addr())
	lost()
	r.market.next("the Sentinels had decided")
	r.pause(oldPrimaryAway)
	p.Resume()
	r.unused(p.old)
}

// cutPrimaryOff separates the primary, and a server of the shop, from the replicas, the Sentinels and the other processes. Connections stay open,
// and both sides reach SQL.
func (r *round) cutPrimaryOff() {
	p := &primaryRedis{redis: r.sentinels}
	if inside := r.sentinels.Nodes[0]; p.take() != inside {
		r.t.Fatalf("the primary is at %s, outside of the network that can be cut off: nothing may fail over before", p.old.Addr())
	}
	lost := r.market.losing()
	r.network.Cut()
	p.redis.AwaitFailover(p.old.Addr())
	r.pause(insideStops)
	lost()
	r.pause(oldPrimaryAway - insideStops)
	r.network.Heal()
	p.redis.AwaitReplica(p.old.Addr())
	r.unused(p.old)
}

// unused waits until the shop has no connection to the old primary, to which no command may go.
func (r *round) unused(old *realparts.Proc) {
	r.t.Helper()
	r.await(unusedTimeout, "the shop to leave the old primary", func() bool {
		for line := range strings.Lines(r.sentinels.Command(old.Addr(), "CLIENT", "LIST", "TYPE", "normal")) {
			if !strings.Contains(line, "name=sentinel-") && !strings.Contains(line, "cmd=client") {
				return false
			}
		}
		return true
	})
}
