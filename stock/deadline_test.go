package stock_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// fakeBreaker counts what would open a breaker.
type fakeBreaker struct{ permits, reports, failures atomic.Int64 }

func (b *fakeBreaker) Permit() error { b.permits.Add(1); return nil }
func (b *fakeBreaker) Report(err error) {
	b.reports.Add(1)
	if err != nil && !errors.Is(err, breaker.ErrCallerLeft) {
		b.failures.Add(1)
	}
}
func (*fakeBreaker) Timeout() time.Duration { return callTimeout }

// slowRedis takes a while for each answer, in nanoseconds, once slow is set.
func slowRedis(t *testing.T) (addr string, slow *atomic.Int64) {
	t.Helper()
	m, slow := miniredis.RunT(t), &atomic.Int64{}
	m.Server().SetPreHook(func(*server.Peer, string, ...string) bool {
		<-time.After(time.Duration(slow.Load()))
		return false
	})
	return m.Addr(), slow
}

// TestStock_CallerWithTinyDeadlineIsNoFailureOfRedis: neither a deadline that has passed nor one that passes during the call may
// count against Redis, or one guest closes the shop to everybody.
func TestStock_CallerWithTinyDeadlineIsNoFailureOfRedis(t *testing.T) {
	addr, slow := slowRedis(t)
	shop := openShop(t, redisconn.Config{Addr: addr, Embedded: true}, stock.DefaultLimits(), map[order.SKU]int64{"A": 9})
	b := &fakeBreaker{}
	s := stock.New(shop.keys.Keys, shop.redis, shop.epochs, shop.sql, patientLimits(), b)
	j := journal.New(shop.keys.Keys, shop.redis, b)
	placed := request("k", units("A", 1))
	shop.mustReserve(t, placed)
	calls := map[string]func(ctx context.Context) error{
		"Reserve":  func(ctx context.Context) error { _, err := s.Reserve(ctx, request("new", units("A", 1))); return err },
		"HotOrder": func(ctx context.Context) error { _, err := s.HotOrder(ctx, placed.OrderID); return err },
		"States":   func(ctx context.Context) error { _, err := s.States(ctx, []order.ID{placed.OrderID}); return err },
		"Replay":   func(ctx context.Context) error { _, err := s.Replay(ctx, "c1", "k", nil); return err },
		"Expire": func(ctx context.Context) error {
			return s.Expire(ctx, map[order.ID]order.State{placed.OrderID: order.Paid})
		},
		"Available": func(ctx context.Context) error {
			_, err := s.Available(ctx, []order.SKU{"A"})
			return errors.Join(err, ctx.Err()) // SQL is read instead.
		},
		"Journal.Read": func(ctx context.Context) error { _, err := j.Read(ctx, 1, journal.StartID, 1); return err },
	}
	slow.Store(int64(20 * time.Millisecond))
	for name, call := range calls {
		for _, deadline := range []time.Duration{-time.Second, time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			if err := call(ctx); err == nil && deadline < 0 {
				t.Errorf("%s succeeded after its caller had left", name)
			}
			cancel()
			if n := b.failures.Swap(0); n > 0 {
				t.Errorf("%s: %d failures were reported of a caller with a deadline of %s", name, n, deadline)
			}
		}
	}
	if b.permits.Load() != b.reports.Load() {
		t.Errorf("%d permits, %d reports", b.permits.Load(), b.reports.Load())
	}
}

// TestStock_ErrorReplyIsNoFailureOfRedis: a Redis that replies with an error works.
func TestStock_ErrorReplyIsNoFailureOfRedis(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		shop := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 9})
		b := &fakeBreaker{}
		s := stock.New(shop.keys.Keys, shop.redis, shop.epochs, shop.sql, patientLimits(), b)
		client := shop.redis.Client()
		if err := client.Do(t.Context(), client.B().Set().Key(shop.keys.Journal(1)).Value("no stream").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		_, err := s.Reserve(t.Context(), request("k", units("A", 1)))
		if !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("a reservation without a journal: %v", err)
		}
		if b.failures.Load() > 0 || b.reports.Load() == 0 {
			t.Errorf("%d reports, %d of them failures", b.reports.Load(), b.failures.Load())
		}
	})
}

// TestStock_ReservationWhoseCallerLeftIsResumed: the caller gives up before Redis replies, and its retry under the same key gets the
// one order that was made.
func TestStock_ReservationWhoseCallerLeftIsResumed(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		shop := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 9})
		shop.mustReserve(t, request("warm", units("A", 1)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		first := request("k", units("A", 2))
		if _, err := shop.Reserve(ctx, first); err == nil {
			t.Fatal("reserved for a caller that left")
		}
		retry := request("k", units("A", 2))
		res := shop.mustReserve(t, retry)
		if res.Replay != "" && res.Replay != first.OrderID {
			t.Errorf("the retry met order %s", res.Replay)
		}
		again := shop.mustReserve(t, request("k", units("A", 2)))
		if want := map[bool]order.ID{true: retry.OrderID, false: first.OrderID}[res.Replay == ""]; again.Replay != want {
			t.Errorf("a second retry met %q; want %s", again.Replay, want)
		}
		shop.wantLeft(t, "A", 6)
	})
}
