package quota_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/quota"
	"github.com/spillway/spillway/test/realparts"
)

type stubClosedBreaker struct{}

func (stubClosedBreaker) Permit() error { return nil }
func (stubClosedBreaker) Report(error)  {}

func connect(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestCount_ProcessesShareAWindow counts from two processes at once, on Redis and on the embedded one.
func TestCount_ProcessesShareAWindow(t *testing.T) {
	for name, addr := range map[string]string{"redis": realparts.Redis(t), "miniredis": miniredis.RunT(t).Addr()} {
		t.Run(name, func(t *testing.T) {
			namespace := "test-" + rand.Text()
			a, b := quota.New(namespace, connect(t, addr), stubClosedBreaker{}), quota.New(namespace, connect(t, addr), stubClosedBreaker{})
			var counting sync.WaitGroup
			for _, c := range []*quota.Counters{a, b} {
				for range 10 {
					counting.Go(func() {
						if _, left, err := c.Count(t.Context(), "k", time.Hour); err != nil || left <= 0 || left > time.Hour {
							t.Errorf("left %s, %v", left, err)
						}
					})
				}
			}
			counting.Wait()
			if n, _, err := a.Count(t.Context(), "k", time.Hour); n != 21 || err != nil {
				t.Errorf("%d events, %v; want 21", n, err)
			}
			if n, _, err := a.Count(t.Context(), "other", time.Hour); n != 1 || err != nil {
				t.Errorf("another key has %d events, %v", n, err)
			}
		})
	}
}

// TestCount_WindowEnds: the counter expires with its window, and an event does not prolong it.
func TestCount_WindowEnds(t *testing.T) {
	m := miniredis.RunT(t)
	c := quota.New("test", connect(t, m.Addr()), stubClosedBreaker{})
	for i, want := range []int64{1, 2, 1} {
		n, left, err := c.Count(t.Context(), "k", time.Minute)
		if n != want || err != nil || left > time.Minute-time.Duration(i%2)*40*time.Second {
			t.Errorf("event %d: %d, %s left, %v; want %d", i, n, left, err, want)
		}
		m.FastForward(40 * time.Second)
	}
}

func TestCount_WithoutRedis(t *testing.T) {
	m := miniredis.RunT(t)
	c := quota.New("test", connect(t, m.Addr()), stubClosedBreaker{})
	m.Close()
	if _, _, err := c.Count(t.Context(), "k", time.Minute); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("error = %v; want order.ErrUnavailable", err)
	}
}

// TestAdd_ManyKeysInOneRoundTrip: the amounts of several keys are added, each to its own window.
func TestAdd_ManyKeysInOneRoundTrip(t *testing.T) {
	for name, addr := range map[string]string{"redis": realparts.Redis(t), "miniredis": miniredis.RunT(t).Addr()} {
		t.Run(name, func(t *testing.T) {
			c := quota.New("test-"+rand.Text(), connect(t, addr), stubClosedBreaker{})
			for round := int64(1); round <= 2; round++ {
				totals, err := c.Add(t.Context(), []quota.Amount{{Key: "a", N: 5}, {Key: "b", N: 7}}, time.Hour)
				if err != nil || len(totals) != 2 || totals[0].N != 5*round || totals[1].N != 7*round || totals[1].Left <= 0 {
					t.Fatalf("round %d: %+v, %v", round, totals, err)
				}
			}
		})
	}
}

// TestAdd_RedisIsUnavailable: the caller learns it and counts by itself.
func TestAdd_RedisIsUnavailable(t *testing.T) {
	m := miniredis.RunT(t)
	c := quota.New("test", connect(t, m.Addr()), stubClosedBreaker{})
	m.Close()
	if _, err := c.Add(t.Context(), []quota.Amount{{Key: "a", N: 5}, {Key: "b", N: 7}}, time.Hour); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
