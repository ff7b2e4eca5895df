package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRun_FlashSale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := someConfig()
		cfg.Stock, cfg.Token = 50, "op"
		res := mustRun(t, cfg, newFakeShop(0))
		if res.count(Accepted) != 50 || res.count(SoldOut) != 250 || res.Arrived != 300 || res.Verdict() != StatusOK {
			t.Errorf("outcomes %+v, verdict %s, record %+v", res.Outcomes, res.Verdict(), res.Record)
		}
		if res.Record.Replayed != 50 || res.Record.States["SHIPPED"] != 50 || !near(res.TimeToShipped.Latency.P50, 30) {
			t.Errorf("record %+v, shipped %+v", res.Record, res.TimeToShipped)
		}
	})
}

// TestRun_StalledShop checks that a stall does not slow the arrivals: a closed loop would have sent one order and
// waited for its response.
func TestRun_StalledShop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := newFakeShop(1000)
		start := time.Now()
		var sent []time.Duration
		shop.before = func(ctx context.Context, _ string, _ int) error {
			shop.mu.Lock()
			sent = append(sent, time.Since(start))
			shop.mu.Unlock()
			stall(ctx, start.Add(2*time.Second))
			return nil
		}
		res := mustRun(t, someConfig(), shop)
		for i, at := range sent[:300] {
			if want := time.Duration(i) * 10 * time.Millisecond; at != want {
				t.Fatalf("arrival %d was sent at %s, not at %s", i, at, want)
			}
		}
		// The arrivals during the stall of 2 s waited from their planned time to its end: evenly from 2 s to 0.
		latency := res.Outcomes[Accepted.String()].Latency
		if res.count(Accepted) != 300 || !near(latency.P50, 510) || !near(latency.P90, 1710) || !near(latency.Max, 2000) {
			t.Errorf("%d accepted, latencies %+v", res.count(Accepted), latency)
		}
	})
}

// TestStats_LatencyIsFromPlannedTime covers coordinated omission: the latency of an arrival that is sent late, because
// the machine was overloaded, counts from its planned time.
func TestStats_LatencyIsFromPlannedTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := someConfig()
		r := &run{cfg: cfg, shop: newFakeShop(1000), stats: newStats(cfg.Duration), record: newRecord(), probes: newProber(newFakeShop(0))}
		r.calls = caller{stats: r.stats}
		r.buyers = &buyers{all: []*buyer{{token: "a"}}}
		r.start = time.Now().Add(-time.Second)
		r.arrive(t.Context(), visit{sku: "HOT", buys: true, quantity: 1}, 400*time.Millisecond)
		r.probes.wg.Wait()
		if got := r.stats.latencies[Accepted].max(); !near(ms(got), 600) {
			t.Errorf("latency of a response at 1 s, planned for 0.4 s: %s", got)
		}
		if got := r.stats.steps[stepPlace].max(); got > time.Millisecond {
			t.Errorf("the call alone took %s", got)
		}
	})
}

// TestRun_MaxInFlight checks that further arrivals are dropped rather than sent late.
func TestRun_MaxInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := someConfig()
		cfg.MaxInFlight = 20
		shop := newFakeShop(1000)
		start, most, now := time.Now(), 0, 0
		shop.before = func(ctx context.Context, _ string, _ int) error {
			shop.mu.Lock()
			now++
			most = max(most, now)
			shop.mu.Unlock()
			stall(ctx, start.Add(time.Second))
			shop.mu.Lock()
			now--
			shop.mu.Unlock()
			return nil
		}
		res := mustRun(t, cfg, shop)
		if most != 20 || res.count(NotSent) < 79 || res.count(NotSent) > 81 || res.Arrived != 300 || res.Sent+res.count(NotSent) != 300 {
			t.Errorf("%d at once, %d of %d not sent", most, res.count(NotSent), res.Arrived)
		}
	})
}

func TestRun_RetryAfterHint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := someConfig()
		cfg.Rate, cfg.Duration, cfg.Retries = 1, time.Second, 3
		shop := newFakeShop(10)
		shop.before = func(_ context.Context, _ string, n int) error {
			if n <= 2 {
				return overloaded(time.Second)
			}
			return nil
		}
		res := mustRun(t, cfg, shop)
		if res.count(Accepted) != 1 || res.Retries != 2 {
			t.Fatalf("outcomes %+v, %d retries", res.Outcomes, res.Retries)
		}
		if shop.keys[0] == "" || shop.keys[0] != shop.keys[1] || shop.keys[1] != shop.keys[2] {
			t.Errorf("the keys were %q", shop.keys)
		}
		if took := res.Outcomes[Accepted.String()].Latency.Max; took < 2000 || took > 3010 {
			t.Errorf("two hints of 1 s and their spread took %v ms", took)
		}
	})
}

func TestRetryWait_Bounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		n        int
		min, max time.Duration
	}{
		{overloaded(time.Second), 0, time.Second, 1500 * time.Millisecond},
		{overloaded(time.Hour), 0, maxRetryWait, maxRetryWait * 3 / 2},
		{errors.New("eof"), 0, minRetryWait, minRetryWait * 3 / 2},
		{errors.New("eof"), 2, 4 * minRetryWait, 6 * minRetryWait},
		{errors.New("eof"), 99, maxRetryWait, maxRetryWait * 3 / 2},
	} {
		if got := retryWait(c.err, c.n); got < c.min || got > c.max {
			t.Errorf("%v, attempt %d: %s, want %s to %s", c.err, c.n, got, c.min, c.max)
		}
	}
}

// TestRun_OrderWithoutResponse checks that a call without a response may be an order, and that its buyer is allowed
// one.
func TestRun_OrderWithoutResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shop := newFakeShop(1000)
		shop.before = func(_ context.Context, token string, n int) error {
			if n > 1 {
				return nil
			}
			shop.mu.Lock()
			defer shop.mu.Unlock()
			shop.sell(token, "lost response")
			return errors.New("connection reset")
		}
		res := mustRun(t, someConfig(), shop)
		if res.count(Failed) != 1 || res.Record.Unacknowledged != 1 || res.Verdict() != StatusOK {
			t.Errorf("failed %d, record %+v", res.count(Failed), res.Record)
		}
	})
}

func TestRun_Interrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := Run(ctx, someConfig(), newFakeShop(1000), nil)
		if err != nil || !res.Interrupted || res.Verdict() != StatusNotRun || res.Arrived < 99 || res.Arrived > 101 {
			t.Fatalf("%v, %+v", err, res)
		}
	})
}

func TestRun_MixedVisitsLeaseBuyers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := someConfig()
		cfg.Scenario, cfg.SKU, cfg.MaxInFlight, cfg.Buyers = Mixed, "", 30, 30
		shop := newFakeShop(1000)
		busyBuyers := map[string]bool{}
		end := time.Now().Add(cfg.Duration)
		shop.before = func(ctx context.Context, token string, _ int) error {
			shop.mu.Lock()
			if busyBuyers[token] && time.Now().Before(end) { // Afterwards each order is replayed, by any buyer.
				t.Errorf("%s has two visits at once", token)
			}
			busyBuyers[token] = true
			shop.mu.Unlock()
			pause(ctx, 100*time.Millisecond)
			shop.mu.Lock()
			busyBuyers[token] = false
			shop.mu.Unlock()
			return nil
		}
		res := mustRun(t, cfg, shop)
		if res.count(Browsed) == 0 || res.count(Accepted) == 0 || res.count(Browsed)+res.count(Accepted) != 300 || res.Record.Status != StatusOK {
			t.Errorf("outcomes %+v, record %+v", res.Outcomes, res.Record)
		}
	})
}

func TestProgress_LinePerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		res, err := Run(t.Context(), someConfig(), newFakeShop(7), &Progress{W: &out})
		if err != nil || res == nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "accepted 7 "); n < 3 || n > 4 || strings.Contains(out.String(), "\r") {
			t.Errorf("%d lines:\n%s", n, out.String())
		}
	})
}

func stall(ctx context.Context, until time.Time) {
	s := newSleeper()
	defer s.timer.Stop()
	s.until(ctx, until)
}

// near tolerates the precision of a histogram, and one arrival.
func near(got, want float64) bool { return got > want-11 && got < want+11 }
