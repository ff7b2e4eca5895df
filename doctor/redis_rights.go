package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

// rights are the commands that the shop sends, itself and in its scripts, with arguments that are valid; KEY stands for a key of the shop.
var rights = []string{
	"GET KEY", "MGET KEY", "SET KEY v EX 1", "DEL KEY", "UNLINK KEY", "EXISTS KEY", "INCR KEY", "EXPIRE KEY 1", "PERSIST KEY", "TTL KEY", "PTTL KEY", "TYPE KEY",
	"HGET KEY f", "HMGET KEY f", "HGETALL KEY", "HSET KEY f v", "HSETNX KEY f v", "HDEL KEY f", "HEXISTS KEY f", "HINCRBY KEY f 1", "HLEN KEY",
	"ZADD KEY 1 m", "ZREM KEY m", "ZCARD KEY", "ZRANGE KEY 0 0", "ZRANGEBYSCORE KEY 0 0",
	"XADD KEY * f v", "XLEN KEY", "XRANGE KEY - +", "XREVRANGE KEY + -", "XREAD STREAMS KEY 0", "XTRIM KEY MAXLEN 1", "XACK KEY g 1-1", "XPENDING KEY g",
	"XGROUP CREATE KEY g 0", "XREADGROUP GROUP g c STREAMS KEY >", "XAUTOCLAIM KEY g c 0 0", "XINFO GROUPS KEY", "XINFO STREAM KEY",
	"EVALSHA 0000000000000000000000000000000000000000 1 KEY", "EVAL return 1 KEY", "SCRIPT LOAD return", "WAIT 0 1", "PING", "TIME", "INFO server", "CONFIG GET maxclients",
}

// errTransaction means that the user may not begin a transaction, so that its rights cannot be checked without changing something.
var errTransaction = errors.New("MULTI is refused")

// checkRights queues each command in a transaction and discards it: Redis checks the rights when it queues a command, and runs none.
func checkRights(ctx context.Context, s *session) Result {
	key := "{" + s.cfg.Redis.Namespace + ":p0}:doctor"
	var missing []string
	err := s.redis.Client().Dedicated(func(c rueidis.DedicatedClient) error {
		if err := c.Do(ctx, c.B().Multi().Build()).Error(); err != nil {
			return fmt.Errorf("%w: %w", errTransaction, err)
		}
		for _, command := range rights {
			words := argumentsOf(command, key)
			err := c.Do(ctx, c.B().Arbitrary(words[0]).Args(words[1:]...).Build()).Error()
			if err != nil && !strings.Contains(err.Error(), "NOPERM") {
				return fmt.Errorf("%s: %w", command, err)
			}
			if err != nil {
				missing = append(missing, strings.ToLower(words[0]))
			}
		}
		return c.Do(ctx, c.B().Discard().Build()).Error()
	})
	const fix = "give the user the rights in docs/operations.md: `ACL SETUSER NAME ~{NAMESPACE:* &* +@all -@dangerous -@admin +info +config|get`"
	switch {
	case errors.Is(err, errTransaction):
		return warn(fix, "the rights cannot be checked: %v", err)
	case err != nil:
		return fail(fix, "the rights cannot be checked: %v", err)
	case len(missing) > 0:
		return fail(fix, "the user may not run, on keys such as %s: %s", key, strings.Join(missing, ", "))
	}
	return ok("the user may run all %d commands that the shop uses", len(rights))
}

// argumentsOf splits a command, with the key in place of KEY.
func argumentsOf(command, key string) []string {
	if command == "EVAL return 1 KEY" {
		return []string{"EVAL", "return 1", "1", key}
	}
	words := strings.Fields(command)
	for i, w := range words {
		if w == "KEY" {
			words[i] = key
		}
	}
	return words
}
