package doctor

import (
	"context"
	"strconv"

	"github.com/spillway/spillway/store"
)

// setting reads a setting of Redis.
func (s *session) setting(ctx context.Context, name string) (string, error) {
	got, err := s.redis.Client().Do(ctx, s.redis.Client().B().ConfigGet().Parameter(name).Build()).AsStrMap()
	return got[name], err
}

// unreadable is the result for a setting that cannot be read.
func unreadable(name string, err error) Result {
	return fail("let the user read settings: `ACL SETUSER NAME +config|get`", "%s cannot be read: %v", name, err)
}

func checkEviction(ctx context.Context, s *session) Result {
	policy, err := s.setting(ctx, "maxmemory-policy")
	if err != nil {
		return unreadable("maxmemory-policy", err)
	}
	if policy != "noeviction" {
		return fail("set `maxmemory-policy noeviction` in redis.conf, and `redis-cli CONFIG SET maxmemory-policy noeviction`",
			"maxmemory-policy is %s, under which Redis may drop stock counters and orders", policy)
	}
	if n := s.number("evicted_keys"); n > 0 {
		return warn("run `spillway audit`; then `redis-cli CONFIG RESETSTAT` to forget the number",
			"maxmemory-policy is noeviction, but %d keys were evicted since Redis started", n)
	}
	return ok("maxmemory-policy is noeviction")
}

const appendOnlyFix = "set `appendonly yes` in redis.conf, and `redis-cli CONFIG SET appendonly yes`"

func checkAppendOnly(ctx context.Context, s *session) Result {
	on, err := s.setting(ctx, "appendonly")
	switch {
	case err != nil:
		return unreadable("appendonly", err)
	case on == "yes":
		return ok("appendonly is yes")
	case s.cfg.Orders.Durability == store.DurabilitySQL:
		return warn(appendOnlyFix, "appendonly is %s: a restart of Redis begins a new epoch, without carts and idempotency records", on)
	}
	return fail(appendOnlyFix, "appendonly is %s: a restart of Redis loses acknowledged orders, unless the durability is sql", on)
}

func checkFsync(ctx context.Context, s *session) Result {
	if s.info["aof_enabled"] != "1" {
		return unused("there is no append-only file")
	}
	fsync, err := s.setting(ctx, "appendfsync")
	switch {
	case err != nil:
		return unreadable("appendfsync", err)
	case fsync == "no":
		return fail("set `appendfsync everysec` (or `always`) in redis.conf, and `redis-cli CONFIG SET appendfsync everysec`",
			"appendfsync is no: a power cut takes the writes of half a minute")
	case fsync == "everysec":
		return ok("appendfsync is everysec: a power cut takes the writes of a second or two")
	}
	return ok("appendfsync is %s", fsync)
}

func checkPersistence(_ context.Context, s *session) Result {
	for _, field := range []string{"aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"} {
		if status, there := s.info[field]; there && status != "ok" {
			return fail("make room on the disk of Redis and read its log; `redis-cli BGREWRITEAOF` and `BGSAVE` try again", "%s is %s", field, status)
		}
	}
	if s.info["loading"] == "1" {
		return fail("wait until it is done", "Redis is reading its data")
	}
	return ok("the last writes of its files succeeded")
}

func checkMinReplicas(ctx context.Context, s *session) Result {
	if s.durability() != store.DurabilityReplica {
		return unused("the durability is %s", s.durability())
	}
	text, err := s.setting(ctx, "min-replicas-to-write")
	if err != nil {
		return unreadable("min-replicas-to-write", err)
	}
	lag, err := s.setting(ctx, "min-replicas-max-lag")
	if err != nil {
		return unreadable("min-replicas-max-lag", err)
	}
	least, err := strconv.ParseInt(text, 10, 64)
	connected := s.number("connected_slaves")
	switch {
	case err != nil || least < 1:
		return fail("set `min-replicas-to-write 1` in redis.conf of the primary and of each replica, and by `redis-cli CONFIG SET`",
			"min-replicas-to-write is %s with durability replica: orders are accepted that no replica has", text)
	case lag == "0":
		return fail("set `min-replicas-max-lag 10` in redis.conf of the primary and of each replica, and by `redis-cli CONFIG SET`",
			"min-replicas-max-lag is 0, which switches min-replicas-to-write off: orders are accepted that no replica has")
	case connected < least:
		return fail(
			"start the replicas, or stop all processes and run `spillway durability journal`",
			"%d replicas are connected, and Redis takes writes with %d",
			connected,
			least,
		)
	}
	return ok("%d replicas are connected, and Redis takes no writes with less than %d", connected, least)
}
