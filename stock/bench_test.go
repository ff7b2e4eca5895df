package stock_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// snapshotBytes is the size of an order of one line with an address.
	snapshotBytes = 450
	benchClients  = 64
	benchTrace    = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// BenchmarkOrder_ReserveAndSettle takes orders of one line with 64 clients, and reports what one order costs Redis: its CPU time, the bytes in
// its append-only file, its memory, and the bytes of its journal entries in memory. It has a Redis of its own.
func BenchmarkOrder_ReserveAndSettle(b *testing.B) {
	r := realparts.StartRedis(b)
	limits := stock.DefaultLimits()
	limits.CustomerOrders, limits.JournalMax, limits.Timeout = 1_000_000_000, 1_000_000_000, time.Minute
	s := openShop(b, redisconn.Config{Addr: r.Addr()}, limits, map[order.SKU]int64{"MUG-WHITE": 1_000_000_000})
	c := s.redis.Client()
	if err := c.Do(b.Context(), c.B().ConfigSet().ParameterValue().ParameterValue("appendfsync", "everysec").Build()).Error(); err != nil {
		b.Fatal(err)
	}
	snapshot := bytes.Repeat([]byte("x"), snapshotBytes)
	var n atomic.Int64
	take := func() error {
		i := n.Add(1)
		req := stock.Request{
			OrderID: order.NewID(0, time.Now()), Customer: order.CustomerID(fmt.Sprint("customer-", i%10_000)), Key: fmt.Sprint("key-", i),
			Fingerprint: bytes.Repeat([]byte{byte(i)}, 32), Demand: []order.Demand{{SKU: "MUG-WHITE", Quantity: 2}}, Snapshot: snapshot, Trace: benchTrace,
		}
		if _, err := s.Reserve(b.Context(), req); err != nil {
			return err
		}
		_, err := s.Settle(b.Context(), req.OrderID, "ch_"+string(req.OrderID), benchTrace)
		return err
	}
	if err := take(); err != nil { // It loads the counter.
		b.Fatal(err)
	}
	before, journalBefore := redisUsage(b, c), journalBytes(b, s)
	b.SetParallelism(benchClients / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := take(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	after := redisUsage(b, c)
	perOrder := func(of, unit string, scale float64) {
		b.ReportMetric((after[of]-before[of])*scale/float64(b.N), unit)
	}
	b.ReportMetric((after["used_cpu_sys"]-before["used_cpu_sys"]+after["used_cpu_user"]-before["used_cpu_user"])*1e6/float64(b.N), "redis-µs/op")
	perOrder("evalsha_usec", "script-µs/op", 1)
	perOrder("aof_current_size", "aof-B/op", 1)
	perOrder("used_memory", "redis-B/op", 1)
	b.ReportMetric(float64(journalBytes(b, s)-journalBefore)/float64(b.N), "journal-B/op")
}

// redisUsage reads the numbers of INFO; evalsha_usec is the time in scripts.
func redisUsage(b *testing.B, c rueidis.Client) map[string]float64 {
	b.Helper()
	text, err := c.Do(b.Context(), c.B().Info().Section("everything").Build()).ToString()
	if err != nil {
		b.Fatal(err)
	}
	out := make(map[string]float64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "cmdstat_evalsha" {
			_, value, _ = strings.Cut(value, "usec=")
			value, _, _ = strings.Cut(value, ",")
			name = "evalsha_usec"
		}
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = f
		}
	}
	return out
}

// journalBytes is the memory of the first epoch's journal.
func journalBytes(b *testing.B, s *shop) int64 {
	b.Helper()
	c := s.redis.Client()
	n, err := c.Do(b.Context(), c.B().MemoryUsage().Key(s.keys.Journal(1)).Samples(0).Build()).ToInt64()
	if err != nil {
		b.Fatal(err)
	}
	return n
}
