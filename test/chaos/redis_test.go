package chaos

import (
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/spillway/spillway/test/realparts"
)

// redisKind is what a round's shop has as its Redis. A later kind suffices where an earlier one does, except for the moves that bring older data
// back, which need redisAlone.
type redisKind int

const (
	// redisAlone is one server, the same in all rounds.
	redisAlone redisKind = iota
	// redisSentinel is a primary with two replicas and three Sentinels, new in each round.
	redisSentinel
	// redisApart is the same with the primary in a network namespace that can be cut off, together with a second server of the shop, to which
	// every second buyer goes.
	redisApart
)

func (k redisKind) String() string {
	return [...]string{"one Redis", "Redis with Sentinels", "Redis with Sentinels, its primary in a network of its own"}[k]
}

// kindOfRedis is the Redis of this round: what its scenarios need, at least. If the part redis is in trouble too, the rounds take turns, because
// its older data comes back on redisAlone only. Durability replica needs replicas.
func (r *round) kindOfRedis() redisKind {
	kind := redisAlone
	for _, name := range r.parts {
		if s, ok := scenarioOf(name); ok {
			kind = max(kind, s.redis)
		}
	}
	switch {
	case r.durability == replica:
		return max(kind, redisSentinel)
	case kind > redisAlone && r.has(partRedis) && r.number%2 == 1:
		return redisAlone
	}
	return kind
}

// openRedis starts the Redis of the round, unless it runs all the time.
func (r *round) openRedis() {
	r.t.Helper()
	switch r.redisKind {
	case redisAlone:
		r.all[partRedis], r.redisURL = r.old, r.old.Addr()
		return
	case redisSentinel:
		r.sentinels = realparts.StartSentinel(r.t)
	case redisApart:
		r.sentinels, r.network = realparts.StartPartition(r.t)
		r.addServerInside()
	}
	r.all[partRedis], r.redisURL = &primaryRedis{redis: r.sentinels}, r.sentinels.URL()
}

// closeRedis ends what openRedis has started.
func (r *round) closeRedis() {
	if r.sentinels != nil {
		r.sentinels.Kill9()
	}
	r.sentinels, r.network, r.inside = nil, nil, nil
}

// addServerInside makes a server in the network namespace, which reaches MySQL through a forwarder. A server has no use for the broker.
func (r *round) addServerInside() {
	r.t.Helper()
	cfg, err := mysql.ParseDSN(r.dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.Addr = r.network.Forward(cfg.Addr).Addr()
	listen := net.JoinHostPort(r.network.StableInside, realparts.FreePort(r.t))
	r.inside = &process{
		harness: r.harness, name: "server-inside", args: []string{"serve", "--listen", listen}, url: "http://" + listen,
		prefix: r.network.Command(), ownEnv: []string{"SPILLWAY_MYSQL=" + cfg.FormatDSN()},
	}
	r.t.Cleanup(r.inside.Kill9)
}

// processes are the shop's in this round.
func (h *harness) processes() []*process {
	if h.inside == nil {
		return h.shop
	}
	return append(h.shop[:len(h.shop):len(h.shop)], h.inside)
}

// doors are the URLs of the shop's servers.
func (h *harness) doors() []string {
	if h.inside == nil {
		return []string{h.url}
	}
	return []string{h.url, h.inside.url}
}

// primary is the address of the Redis that the shop has at the moment.
func (h *harness) primary() string {
	if h.sentinels == nil {
		return h.old.Addr()
	}
	return h.sentinels.Primary()
}

// primaryRedis is the part redis of a shop with Sentinels: the primary at the beginning of the trouble. What comes back after a failover is a
// replica. One that came back before the Sentinels have decided would be the primary again, with what its own file has, whatever its replicas have.
type primaryRedis struct {
	redis *realparts.SentinelRedis
	old   *realparts.Proc // in trouble
}

func (p *primaryRedis) take() *realparts.Proc {
	p.old = p.redis.Node(p.redis.Primary())
	return p.old
}

// Kill9 kills the primary.
func (p *primaryRedis) Kill9() { p.take().Kill9() }

// Stop ends the primary as an operator does; it waits for its replicas.
func (p *primaryRedis) Stop() { p.take().Stop() }

// Pause freezes the primary.
func (p *primaryRedis) Pause() { p.take().Pause() }

// Restart starts it again once another one was promoted, and returns when it is a replica of that.
func (p *primaryRedis) Restart() {
	p.redis.AwaitFailover(p.old.Addr())
	p.old.Restart()
	p.redis.AwaitReplica(p.old.Addr())
}

// Resume lets it go on once another one was promoted, and returns when it is a replica of that.
func (p *primaryRedis) Resume() {
	p.redis.AwaitFailover(p.old.Addr())
	p.old.Resume()
	p.redis.AwaitReplica(p.old.Addr())
}
