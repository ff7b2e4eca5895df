package stock_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// TestReserve_TogetherAsOneByOne checks that orders in one call of the scripts get the same replies, and leave the same data, as in a call
// each: whatever keys, customers, SKUs and limits they have in common.
func TestReserve_TogetherAsOneByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		rapid.Check(t, func(r *rapid.T) {
			limits := stock.DefaultLimits()
			limits.JournalMax, limits.CustomerOrders = rapid.IntRange(1, 20).Draw(r, "journal"), rapid.IntRange(0, 4).Draw(r, "customer orders")
			limits.UnpaidTotal, limits.UnpaidPercent = rapid.IntRange(0, 4).Draw(r, "unpaid"), rapid.IntRange(0, 60).Draw(r, "percent")
			limits.UnitsWindow = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(r, "units window")
			open := func() *shop {
				s := openShop(t, cfg, limits, map[order.SKU]int64{"A": 12, "B": 5, "C": 0})
				s.mustLoad(t, "A", "B", "C")
				return s
			}
			shops := []*shop{open(), open()}
			defer shops[0].redis.Close()
			defer shops[1].redis.Close()
			requests := rapid.SliceOfN(rapid.Custom(drawRequest), 1, 16).Draw(r, "requests")
			equal := func(what string, together, each any) {
				if a, b := fmt.Sprint(together), fmt.Sprint(each); a != b {
					r.Fatalf("%s together\n%s\neach\n%s", what, a, b)
				}
			}
			var each [][]string
			for _, req := range requests {
				each = append(each, shops[1].ReserveTogether(t, []stock.Request{req})...)
			}
			equal("replies", withoutIDs(shops[0].ReserveTogether(t, requests)), withoutIDs(each))
			equal("data", shops[0].dump(t, requests), shops[1].dump(t, requests))

			var ids []order.ID
			for _, req := range requests {
				ids = append(ids, req.OrderID)
			}
			ids = append(rapid.SliceOfN(rapid.SampledFrom(ids), 1, 8).Draw(r, "paid"), order.NewID(0, time.Now()))
			cancelled := rapid.SampledFrom(ids).Draw(r, "cancelled")
			each = nil
			for _, s := range shops {
				_, _ = s.Release(t.Context(), cancelled, "why", "")
			}
			for _, id := range ids {
				each = append(each, shops[1].SettleTogether(t, []order.ID{id})...)
			}
			equal("replies to payments", withoutIDs(shops[0].SettleTogether(t, ids)), withoutIDs(each))
			equal("data after payments", shops[0].dump(t, requests), shops[1].dump(t, requests))
		})
	})
}

// drawRequest draws a request of a few customers, keys and SKUs, so that several have them in common.
func drawRequest(r *rapid.T) stock.Request {
	n := rapid.IntRange(0, 9).Draw(r, "request")
	req := stock.Request{
		OrderID:     order.ID(fmt.Sprintf("01JQ0000000000000000000%03d", rapid.IntRange(0, 12).Draw(r, "order"))),
		Customer:    order.CustomerID(fmt.Sprint("c", n%3)),
		Key:         fmt.Sprint("k", n),
		Fingerprint: []byte(fmt.Sprint("f", rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(r, "fingerprint"))),
		Snapshot:    []byte(fmt.Sprint("snapshot \x00\xff ", n)),
		PayLater:    rapid.SampledFrom([]bool{false, false, true}).Draw(r, "pay later"),
		Trace:       rapid.SampledFrom([]string{"", "trace"}).Draw(r, "trace"),
	}
	for range rapid.IntRange(0, 3).Draw(r, "lines") {
		sku := rapid.SampledFrom([]order.SKU{"A", "A", "A", "B", "C", "unknown"}).Draw(r, "sku")
		req.Demand = append(req.Demand, units(sku, rapid.SampledFrom([]int{1, 1, 2, 3, 0, 1001}).Draw(r, "units")))
	}
	if rapid.Bool().Draw(r, "limited") {
		req.MaxUnits = map[order.SKU]int{"A": rapid.IntRange(1, 4).Draw(r, "most")}
	}
	return req
}

// withoutIDs removes entry ids and times from replies.
func withoutIDs(replies [][]string) (out []string) {
	for _, r := range replies {
		if r[0] == "OK" || r[0] == "LIMIT" || r[0] == "UNITS" {
			r = r[:len(r)-1]
		}
		out = append(out, strings.Join(r, " "))
	}
	return out
}

// dump returns all that Redis holds of the shop after the requests, without the ids of entries and times.
func (s *shop) dump(t *testing.T, requests []stock.Request) (out []string) {
	t.Helper()
	c := s.redis.Client()
	keys := []string{s.keys.Epoch(), s.keys.Journal(1), s.keys.Stock(1), s.keys.Unpaid()[0], s.keys.Unpaid()[1], s.keys.Unpaid()[2]}
	for _, r := range requests {
		keys = append(keys, s.keys.Order(r.OrderID), s.keys.Idempotency(r.Customer, r.Key), s.keys.Rate(r.Customer), s.keys.Bought(r.Customer))
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		ttl, err := c.Do(t.Context(), c.B().Ttl().Key(key).Build()).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s (expires: %v) %s", key, ttl > 0, strings.Join(s.values(t, key), " "))
		out = append(out, strings.ReplaceAll(line, s.keys.Namespace, ""))
	}
	return out
}

func (s *shop) values(t *testing.T, key string) (out []string) {
	t.Helper()
	c := s.redis.Client()
	fields := func(m map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !slices.Contains([]string{"time", "reserved", "entry", "settled"}, name) {
				out = append(out, fmt.Sprintf("%s=%q", name, m[name]))
			}
		}
	}
	kind, err := c.Do(t.Context(), c.B().Type().Key(key).Build()).ToString()
	switch kind {
	case "string":
		out = make([]string, 1)
		out[0], err = c.Do(t.Context(), c.B().Get().Key(key).Build()).ToString()
	case "hash":
		var m map[string]string
		m, err = c.Do(t.Context(), c.B().Hgetall().Key(key).Build()).AsStrMap()
		fields(m)
	case "zset":
		out, err = c.Do(t.Context(), c.B().Zrange().Key(key).Min("0").Max("-1").Build()).AsStrSlice()
		slices.Sort(out)
	case "stream":
		var entries []rueidis.XRangeEntry
		entries, err = c.Do(t.Context(), c.B().Xrange().Key(key).Start("-").End("+").Build()).AsXRange()
		for _, e := range entries {
			fields(e.FieldValues)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *shop) mustLoad(t *testing.T, skus ...order.SKU) {
	t.Helper()
	if err := s.Load(t.Context(), skus); err != nil {
		t.Fatal(err)
	}
}

// TestReserve_KeyOfOneOrderIsUnusable: an order that fails the script must not fail the others in its call.
func TestReserve_KeyOfOneOrderIsUnusable(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		s.mustLoad(t, "A")
		c := s.redis.Client()
		requests := []stock.Request{request("k1", units("A", 1)), request("k2", units("A", 1)), request("k3", units("A", 1))}
		if err := c.Do(t.Context(), c.B().Set().Key(s.keys.Order(requests[1].OrderID)).Value("no hash").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		replies, errs := s.TryReserveTogether(requests)
		for i, reply := range replies {
			if bad := i == 1; (errs[i] != nil) != bad || !bad && reply[0] != "OK" {
				t.Errorf("order %d: %q, %v", i, reply, errs[i])
			}
		}
		for _, i := range []int{0, 2} {
			if res := s.mustReserve(t, requests[i]); res.Replay != "" || res.Offset.ID != replies[i][1] {
				t.Errorf("order %d is there twice: %+v and %q", i, res, replies[i])
			}
		}
	})
}

// TestReserve_ConcurrentCallersShareCalls: with one call under way, those that wait share the next one.
func TestReserve_ConcurrentCallersShareCalls(t *testing.T) {
	const callers = 20
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": callers - 1})
	s.mustLoad(t, "A")
	calls := s.DelayRuns(20 * time.Millisecond)
	var wg sync.WaitGroup
	sold, soldOut := make(chan order.ID, callers), make(chan error, callers)
	for i := range callers {
		wg.Go(func() {
			req := request(fmt.Sprint("k", i), units("A", 1))
			if _, err := s.Reserve(t.Context(), req); err != nil {
				soldOut <- err
				return
			}
			if _, err := s.Settle(t.Context(), req.OrderID, "ch", ""); err != nil {
				t.Error(err)
			}
			sold <- req.OrderID
		})
	}
	wg.Wait()
	var short *order.SoldOutError
	if len(sold) != callers-1 || len(soldOut) != 1 || !errors.As(<-soldOut, &short) {
		t.Errorf("%d orders of %d units", len(sold), callers-1)
	}
	if n := calls(); n > callers {
		t.Errorf("%d calls for %d orders, each reserved and settled; want less than half", n, callers)
	}
	s.wantLeft(t, "A", 0)
}

// TestReserve_TogetherOnAPromotedRedis: a Redis that was demoted, resynced and promoted takes none of the orders of a call.
func TestReserve_TogetherOnAPromotedRedis(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustLoad(t, "A")
	placed := request("k0", units("A", 1))
	s.mustReserve(t, placed)
	requests := []stock.Request{request("k1", units("A", 1)), request("k2", units("A", 1)), placed}
	before := s.dump(t, requests)
	epoch, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	epoch.Instance += "0" // Another replication id than that of this Redis.
	replies := s.ReserveIn(t, epoch, requests)
	replies = append(replies, s.SettleIn(t, epoch, []order.ID{placed.OrderID, placed.OrderID})...)
	for _, r := range replies {
		if !slices.Equal(r, []string{"EPOCH"}) {
			t.Errorf("replies %q; want EPOCH for all", replies)
		}
	}
	if after := s.dump(t, requests); !slices.Equal(before, after) {
		t.Errorf("changed from\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
