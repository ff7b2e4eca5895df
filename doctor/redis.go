package doctor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/redisconn"
)

var (
	needsRedis = []string{"redis.primary"}

	redisChecks = []Check{
		{"redis.sentinels", "A majority of the Sentinels names the primary, and there are at least three.", nil, checkSentinels},
		{"redis.reachable", "Redis is reached, and accepts the user.", []string{"redis.sentinels"}, checkRedis},
		{"redis.primary", "It is a primary, not a replica.", []string{"redis.reachable"}, checkPrimary},
		{"redis.version", "It is Redis 7 or later.", needsRedis, checkRedisVersion},
		{"redis.clock", "Its clock is this machine's, to a second.", needsRedis, checkRedisClock},
		{"redis.tls", "TLS is spoken to a Redis on another machine.", needsRedis, checkRedisTLS},
		{"redis.rights", "The user may run every command that the shop uses, on its keys.", needsRedis, checkRights},
		{"redis.eviction", "`maxmemory-policy` is `noeviction`, and no key was evicted.", needsRedis, checkEviction},
		{"redis.append-only", "The append-only file is on (`appendonly yes`).", needsRedis, checkAppendOnly},
		{"redis.fsync", "It is synced at least every second (`appendfsync`).", []string{"redis.append-only"}, checkFsync},
		{"redis.persistence", "Its last writes to disk succeeded.", needsRedis, checkPersistence},
		{
			"redis.replicas",
			"With durability replica it takes no writes without a replica (`min-replicas-to-write`, `min-replicas-max-lag`).",
			[]string{"redis.primary", "shop.durability"},
			checkMinReplicas,
		},
		{"redis.memory", "It has memory for a full journal (`--journal-max`) and all unpaid orders.", needsRedis, checkRedisMemory},
		{"redis.connections", "It has room for more connections (`maxclients`).", needsRedis, checkRedisConnections},
	}
)

// connectRedis makes a client and reads the identity of the Redis.
func (s *session) connectRedis(ctx context.Context) (*redisconn.Conn, string, error) {
	conn, err := redisconn.Connect(s.cfg.Redis.Conn)
	if err != nil {
		return nil, "", err
	}
	s.later(conn.Close)
	instance, err := conn.Instance(ctx)
	return conn, instance, err
}

// minSentinels is the number below which the Sentinels have no majority after one of them is lost.
const minSentinels = 3

func checkSentinels(ctx context.Context, s *session) Result {
	cfg := s.cfg.Redis.Conn
	if len(cfg.Sentinels) == 0 {
		return unused("no Sentinels are configured")
	}
	_, _, err := s.connectRedis(ctx)
	if errors.Is(err, redisconn.ErrNoMajority) {
		return fail(cmp.Or(s.redisAdvice(err), "start the Sentinels, or correct the list or the name of the primary in --redis (SPILLWAY_REDIS)"), "%v", err)
	}
	if n := len(cfg.Sentinels); n < minSentinels {
		return warn(
			"run three Sentinels on three machines, and list all of them in --redis (SPILLWAY_REDIS)",
			"%d are listed: one that is lost leaves no majority",
			n,
		)
	}
	return ok("a majority of %d names the primary %s", len(cfg.Sentinels), cfg.Primary)
}

// redisAdvice is what to set for a Redis that refuses the process; empty if it does not.
func (s *session) redisAdvice(err error) string {
	if refused := redisconn.Refused(err); refused != nil {
		return s.cfg.Redis.Advice(refused)
	}
	return ""
}

func checkRedis(ctx context.Context, s *session) Result {
	began := time.Now()
	_, _, err := s.connectRedis(ctx)
	if err == nil || errors.Is(err, redisconn.ErrReplica) {
		return ok("%s responds within %s", s.redisName(), time.Since(began).Round(100*time.Microsecond))
	}
	return fail(cmp.Or(s.redisAdvice(err), "start Redis, or correct its address: --redis (SPILLWAY_REDIS)"), "%v", err)
}

func (s *session) redisName() string {
	return cmp.Or(s.cfg.Redis.Conn.Addr, s.cfg.Redis.Conn.Primary)
}

func checkPrimary(ctx context.Context, s *session) Result {
	conn, instance, err := s.connectRedis(ctx)
	if errors.Is(err, redisconn.ErrReplica) {
		return fail("name the primary, or the Sentinels, which know it (redis-sentinel://…): --redis (SPILLWAY_REDIS)", "%s is a replica", s.redisName())
	}
	if err != nil {
		return fail("start Redis, or correct its address: --redis (SPILLWAY_REDIS)", "%v", err)
	}
	conn.Allow(instance)
	text, err := conn.Client().Do(ctx, conn.Client().B().Info().Build()).ToString()
	if err != nil {
		return fail(cmp.Or(s.redisAdvice(err), "let the user run INFO: `ACL SETUSER NAME +info`"), "%v", err)
	}
	s.redis, s.instance, s.info = conn, instance, map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, found := strings.Cut(lines.Text(), ":"); found {
			s.info[name] = value
		}
	}
	return ok("it is a primary with %s replicas", s.info["connected_slaves"])
}

// number is a field of INFO; 0 if it is absent.
func (s *session) number(field string) int64 {
	n, _ := strconv.ParseInt(s.info[field], 10, 64) // An absent field is 0.
	return n
}

// minRedis is the oldest major version with what the scripts use.
const minRedis = 7

func checkRedisVersion(_ context.Context, s *session) Result {
	version := s.info["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < minRedis {
		return fail("use Redis 7 or later", "it is Redis %s", version)
	}
	return ok("Redis %s", version)
}

func checkRedisClock(ctx context.Context, s *session) Result {
	return s.skew(ctx, "Redis", func(ctx context.Context) (at time.Time, err error) {
		reply, err := s.redis.Client().Do(ctx, s.redis.Client().B().Time().Build()).AsIntSlice()
		if err != nil {
			return at, err
		}
		if len(reply) != 2 {
			return at, fmt.Errorf("TIME returned %d numbers", len(reply))
		}
		return time.Unix(reply[0], reply[1]*int64(time.Microsecond)), nil
	})
}

func checkRedisTLS(_ context.Context, s *session) Result {
	cfg := s.cfg.Redis.Conn
	addrs := append([]string{cfg.Addr}, cfg.Sentinels...)
	for _, addr := range addrs {
		if _, good := localOrTLS("Redis", addr, cfg.TLS != nil || addr == ""); !good {
			return plainText("Redis", addr, "speak TLS: --redis rediss://… or rediss-sentinel://…, or --redis-tls (SPILLWAY_REDIS_TLS)")
		}
	}
	r, _ := localOrTLS("Redis", cmp.Or(addrs...), cfg.TLS != nil)
	return r
}

const (
	// entryBytes and unpaidBytes are what an entry of the journal with its share of an order, and an unpaid order, take in Redis.
	entryBytes  = 1300
	unpaidBytes = 7000
)

func checkRedisMemory(_ context.Context, s *session) Result {
	need := int64(s.cfg.Orders.JournalMax)*entryBytes + int64(s.cfg.Orders.UnpaidTotal)*unpaidBytes
	used, limit, total := s.number("used_memory"), s.number("maxmemory"), s.number("total_system_memory")
	what := "maxmemory"
	if limit == 0 {
		what, limit = "the machine's memory", total
	}
	found := fmt.Sprintf("%s is %s and %s of it are used; a full journal and all unpaid orders take %s", what, bytesText(limit), bytesText(used), bytesText(need))
	const fix = "raise maxmemory (`redis-cli CONFIG SET maxmemory 2gb`, and in redis.conf), or lower --journal-max (SPILLWAY_JOURNAL_MAX) or --unpaid-total"
	switch {
	case limit == 0 || need == 0:
		return unused("Redis does not report its memory, or this process takes no orders")
	case limit < need || limit-used < need/10:
		return fail(fix, "%s", found)
	case limit-used < need:
		return warn(fix, "%s", found)
	}
	return ok("%s", found)
}

// freeClients is how many connections a Redis should have to spare: a process uses up to some twenty.
const freeClients = 32

func checkRedisConnections(ctx context.Context, s *session) Result {
	text, err := s.setting(ctx, "maxclients")
	if err != nil {
		return unreadable("maxclients", err)
	}
	most, err := strconv.ParseInt(text, 10, 64)
	open := s.number("connected_clients")
	const fix = "raise maxclients in redis.conf, and by `redis-cli CONFIG SET maxclients 10000`"
	switch {
	case err != nil:
		return unreadable("maxclients", err)
	case most-open < freeClients:
		return fail(fix, "%d of %d connections are open", open, most)
	case s.number("rejected_connections") > 0:
		return warn(fix, "%d of %d connections are open, and %d were refused since Redis started", open, most, s.number("rejected_connections"))
	}
	return ok("%d of %d connections are open", open, most)
}
