package stock_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// refusals make a Redis that is up refuse writes, by what it replies, and end that.
var refusals = map[string]struct{ begin, end func(t *testing.T, s *shop) }{
	"OOM":        {set("maxmemory", "1"), set("maxmemory", "0")},
	"NOREPLICAS": {set("min-replicas-to-write", "1"), set("min-replicas-to-write", "0")},
	"MISCONF":    {failToSave, set("stop-writes-on-bgsave-error", "no")},
}

func set(parameter, value string) func(t *testing.T, s *shop) {
	return func(t *testing.T, s *shop) { s.command(t, "CONFIG", "SET", parameter, value) }
}

// failToSave removes the directory of a Redis that saves its data.
func failToSave(t *testing.T, s *shop) {
	c := s.redis.Client()
	dir, err := c.Do(t.Context(), c.B().ConfigGet().Parameter("dir").Build()).AsStrMap()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir["dir"]); err != nil {
		t.Fatal(err)
	}
	set("save", "3600 1")(t, s)
	s.command(t, "BGSAVE")
	eventually(t, "a failed save", func() bool {
		info, err := c.Do(t.Context(), c.B().Info().Section("persistence").Build()).ToString()
		return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
	})
}

func (s *shop) command(t *testing.T, args ...string) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Arbitrary(args...).Build()).Error(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// TestStock_RedisRefusesWrites: orders are refused with a retry hint and Redis' own text, and nothing of them is done. The epoch goes on, and with it the
// shop, as soon as Redis takes writes.
func TestStock_RedisRefusesWrites(t *testing.T) {
	for reply, refusal := range refusals {
		t.Run(reply, func(t *testing.T) {
			s := openShop(t, redisconn.Config{Addr: realparts.StartRedis(t).Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
			before := request("before", units("A", 1))
			s.mustReserve(t, before)
			refusal.begin(t, s)
			r := request("k", units("A", 1))
			_, err := s.Reserve(t.Context(), r)
			var retry *order.RetryError
			if !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) || !strings.Contains(err.Error(), reply) {
				t.Errorf("reserve: %v; want unavailable with a retry hint and %s", err, reply)
			}
			if err := s.epochs.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
			s.wantLeft(t, "A", 9)
			refusal.end(t, s)
			s.mustReserve(t, r)
			if _, err := s.Settle(t.Context(), before.OrderID, "charge", ""); err != nil {
				t.Errorf("settle: %v", err)
			}
			s.wantLeft(t, "A", 8)
		})
	}
}

// TestJournal_RelayedWithoutMemory: what is relayed leaves a Redis that has no memory left, which is how it gets some.
func TestJournal_RelayedWithoutMemory(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.StartRedis(t).Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k", units("A", 1)))
	if _, err := s.journal.Next(t.Context(), 1, "relay", 1, time.Millisecond); err != nil { // It creates the group.
		t.Fatal(err)
	}
	s.mustReserve(t, request("l", units("A", 1)))
	refusals["OOM"].begin(t, s)
	entries, err := s.journal.Read(t.Context(), 1, journal.StartID, 10)
	if err != nil || len(entries) != 2 {
		t.Fatalf("read %d entries: %v", len(entries), err)
	}
	next, err := s.journal.Next(t.Context(), 1, "relay", 10, time.Millisecond)
	if err != nil {
		t.Errorf("receive: %v", err)
	}
	for _, e := range append(entries[:1:1], next...) {
		if err := s.journal.Ack(t.Context(), 1, []string{e.ID}); err != nil {
			t.Errorf("acknowledge: %v", err)
		}
	}
	id, _, err := s.journal.Relayed(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.journal.Trim(t.Context(), 1, id); err != nil || n == 0 {
		t.Errorf("trimmed %d entries: %v", n, err)
	}
}

// TestStock_RedisIsReadOnly: a Redis that was made a replica takes no order. Once it is a primary again, it is rebuilt and takes them.
func TestStock_RedisIsReadOnly(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.StartRedis(t).Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("before", units("A", 1)))
	s.command(t, "REPLICAOF", "127.0.0.1", "1")
	r := request("k", units("A", 1))
	if _, err := s.Reserve(t.Context(), r); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("reserve: %v; want unavailable", err)
	}
	if err := s.epochs.Check(t.Context()); err == nil {
		t.Error("the check found the replica in order")
	}
	if _, err := s.epochs.Current(); err == nil || !strings.Contains(err.Error(), "it is a replica") {
		t.Errorf("the epoch: %v; want none, and why", err)
	}
	s.command(t, "REPLICAOF", "NO", "ONE")
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	s.mustReserve(t, r)
	s.wantLeft(t, "A", 8)
}
