package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

var shopChecks = []Check{
	{"shop.durability", "The durability of this process is the one that the database records.", []string{"sql.migrations"}, checkDurability},
	{"shop.epoch", "An epoch is open, and orders are taken in Redis.", []string{"sql.migrations"}, checkEpoch},
	{"shop.redis-epoch", "Redis is on the epoch that SQL has open.", []string{"shop.epoch", "redis.primary"}, checkRedisEpoch},
	{"shop.counters", "The counters in Redis equal the stock in SQL, whenever nothing is on its way.", []string{"shop.redis-epoch"}, checkCounters},
	{"shop.journal", "The journal is far from its bound (`--journal-max`).", []string{"shop.redis-epoch"}, checkJournal},
	{"shop.dead-letters", "No dead letter is open.", []string{"sql.migrations"}, checkDeadLetters},
}

// durability is the setting of this process.
func (s *session) durability() string {
	if s.cfg.Orders.Durability != DurabilityAuto {
		return s.cfg.Orders.Durability
	}
	return cmp.Or(s.recorded, s.cfg.Orders.Default)
}

func checkDurability(ctx context.Context, s *session) Result {
	if !s.cfg.Orders.Uses {
		return unused("this process has no stock")
	}
	recorded, err := store.NewStock(s.db).Durability(ctx, s.cfg.Orders.Partition)
	if err != nil {
		return fail("read the error", "%v", err)
	}
	s.recorded = recorded
	switch want := s.cfg.Orders.Durability; {
	case want != DurabilityAuto && recorded != "" && want != recorded:
		return fail(fmt.Sprintf("--durability %s (SPILLWAY_DURABILITY); or stop all processes and run `spillway durability %s`", recorded, want),
			"the shop has %s, and this process %s: it takes no orders", recorded, want)
	case recorded == "":
		return ok("none is recorded yet; this process would record %s", s.durability())
	}
	return ok("%s", recorded)
}

func checkEpoch(ctx context.Context, s *session) Result {
	if !s.cfg.Orders.Uses {
		return unused("this process has no stock")
	}
	inSQL := store.NewStock(s.db)
	e, err := inSQL.OpenEpoch(ctx, s.cfg.Orders.Partition)
	if errors.Is(err, journal.ErrNoEpoch) {
		return unused("no epoch was opened yet; the first process does")
	}
	if err != nil {
		return fail("read the error", "%v", err)
	}
	s.epoch = e
	found := fmt.Sprintf("epoch %d is open since %s (%s), mode %s", e.Number, e.OpenedAt.Format(time.RFC3339), age(s.now().Sub(e.OpenedAt)), e.Mode)
	if !e.SeenAt.IsZero() {
		found += fmt.Sprintf(", seen in Redis %s ago", age(s.now().Sub(e.SeenAt)))
	}
	if e.Undrained {
		return warn("start Redis with the data that it had, and then the processes",
			"%s; its journal may hold orders of before `spillway durability` changed the setting, and orders are not taken in SQL before they are flushed", found)
	}
	if e.Mode == journal.ModeSQL {
		return warn("repair Redis and start it with its data; the shop goes back by itself", "%s: orders are taken in SQL because Redis was unavailable", found)
	}
	if _, err := inSQL.Undrained(ctx, s.cfg.Orders.Partition); err == nil {
		return warn("start Redis with the data that it had, and `spillway work`", "%s; an earlier epoch was closed without its Redis and is not drained", found)
	}
	return ok("%s", found)
}

// age is a duration as people read it.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return strconv.Itoa(int(d.Hours()/24)) + " days"
	case d >= time.Hour:
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}

func (s *session) keys() journal.Keys {
	return journal.Keys{Namespace: s.cfg.Redis.Namespace, Partition: s.cfg.Orders.Partition}
}

func checkRedisEpoch(ctx context.Context, s *session) Result {
	if s.epoch.Number == 0 || s.cfg.Redis == nil {
		return unused("there is no Redis outside of the process, or no epoch")
	}
	if s.epoch.Mode == journal.ModeSQL {
		return blocked("orders are taken in SQL")
	}
	text, err := s.redis.Client().Do(ctx, s.redis.Client().B().Get().Key(s.keys().Epoch()).Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return fail("let the user read the keys of --redis-namespace (SPILLWAY_REDIS_NAMESPACE)", "%v", err)
	}
	number, _ := strconv.ParseInt(text, 10, 64) // A missing one is 0.
	switch {
	case number > s.epoch.Number:
		return fail("name the database that belongs to it: --mysql, or another --redis-namespace (SPILLWAY_REDIS_NAMESPACE)",
			"Redis is on epoch %d, and SQL on the earlier %d: it belongs to another database", number, s.epoch.Number)
	case number == 0:
		return s.lostOrElsewhere(ctx, fmt.Sprintf("Redis has no epoch in the namespace %q: it lost its data, or is another one; SQL has epoch %d open",
			s.cfg.Redis.Namespace, s.epoch.Number))
	case number < s.epoch.Number:
		return s.lostOrElsewhere(ctx, fmt.Sprintf("Redis is on epoch %d, and SQL on %d: it has older data, or is another one", number, s.epoch.Number))
	case s.instance != s.epoch.Instance:
		return s.lostOrElsewhere(ctx, fmt.Sprintf("Redis was restarted or promoted since epoch %d was opened, or is another one", number))
	}
	return ok("Redis is on epoch %d", number)
}

const (
	// countersTries and countersPause bound how often counters are compared: in a busy shop SQL is behind the journal at most moments.
	countersTries = 4
	countersPause = 300 * time.Millisecond
	// maxCounters bounds the products that are compared.
	maxCounters = 2000
)

func checkCounters(ctx context.Context, s *session) Result {
	if s.epoch.Number == 0 || s.cfg.Redis == nil {
		return unused("there is no Redis outside of the process, or no epoch")
	}
	var last Result
	for try := range countersTries {
		if try > 0 && pause.For(ctx, countersPause) != nil {
			break
		}
		if last = s.compareCounters(ctx); last.Status == OK {
			break
		}
	}
	return last
}

// compareCounters compares once. Both are at the same entry of the journal, or the result is Skipped.
func (s *session) compareCounters(ctx context.Context) Result {
	inRedis, err := stock.ReadCounters(ctx, s.redis, s.keys(), s.epoch.Number)
	if err != nil {
		return fail("let the user run EVAL on the keys of --redis-namespace", "%v", err)
	}
	skus := slices.Sorted(maps.Keys(inRedis.Units))
	skus = skus[:min(len(skus), maxCounters)]
	epoch, inSQL, err := store.NewStock(s.db).Snapshot(ctx, s.cfg.Orders.Partition, skus)
	if err != nil {
		return fail("read the error", "%v", err)
	}
	if epoch.Number != inRedis.Epoch {
		return blocked("a new epoch was opened meanwhile")
	}
	if inRedis.LastID != "" && journal.CompareIDs(epoch.LastID, inRedis.LastID) != 0 {
		return blocked("entries of the journal are on their way to SQL, or the stock-flusher does not run; `spillway audit --drained --wait 60s` waits for them")
	}
	var wrong []string
	for _, sku := range skus {
		if units, known := inSQL[sku]; !known || units != inRedis.Units[sku] {
			wrong = append(wrong, difference(sku, inRedis.Units[sku], units, known))
		}
	}
	if len(wrong) > 0 {
		return fail("run `spillway audit --drained --wait 60s`; see docs/design/counters.md", "%d of %d counters differ: %s", len(wrong), len(skus), listed(wrong))
	}
	return ok("%d counters equal the stock in SQL", len(skus))
}

func difference(sku order.SKU, inRedis, inSQL int64, known bool) string {
	if !known {
		return fmt.Sprintf("%s has %d in Redis and is unknown in SQL", sku, inRedis)
	}
	return fmt.Sprintf("%s has %d in Redis and %d in SQL", sku, inRedis, inSQL)
}

func checkJournal(ctx context.Context, s *session) Result {
	limit := int64(s.cfg.Orders.JournalMax)
	if s.epoch.Number == 0 || s.cfg.Redis == nil || limit == 0 {
		return unused("there is no Redis outside of the process, or no epoch")
	}
	n, err := s.redis.Client().Do(ctx, s.redis.Client().B().Xlen().Key(s.keys().Journal(s.epoch.Number)).Build()).AsInt64()
	const fix = "start `spillway work`, or more of them; see docs/runbook.md#journalgrows"
	switch {
	case err != nil:
		return fail("let the user read the keys of --redis-namespace (SPILLWAY_REDIS_NAMESPACE)", "%v", err)
	case n >= limit:
		return fail(fix, "the journal has %d entries, and orders are refused from %d on", n, limit)
	case n > limit/2:
		return warn(fix, "the journal has %d entries, and orders are refused from %d on", n, limit)
	}
	return ok("the journal has %d of at most %d entries", n, limit)
}

func checkDeadLetters(ctx context.Context, s *session) Result {
	bySource, err := store.NewDeadLetters(s.db).CountOpen(ctx)
	if err != nil {
		return fail("read the error", "%v", err)
	}
	var open []string
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		open = append(open, fmt.Sprintf("%d of %s", bySource[source], source))
	}
	if len(open) > 0 {
		return warn("`spillway dead-letters list`, and after the cause is repaired `spillway dead-letters replay ID`", "dead letters are open: %s", listed(open))
	}
	return ok("none is open")
}
