package e2e

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/spillway/spillway/test/realparts"
)

// TestBreaker_FrozenRedisFailsFast: its sockets stay open without a response. Callers get a clear error with a retry hint,
// /readyz shows the open breaker, and everything works again once Redis goes on (I12).
func TestBreaker_FrozenRedisFailsFast(t *testing.T) {
	redis := realparts.StartRedis(t)
	s := onRealParts(t, redis.Addr(), "--durability", "journal", "--customer-orders", "0")
	const calls = 40
	tokens := make([]string, calls) // One customer has 2 charges at once.
	for i := range tokens {
		tokens[i] = s.guest()
	}
	place := func(token, key string) (reply, error) {
		return s.call("CheckoutService/PlaceOrder", token, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", key)
	}
	s.paysWithin(startTimeout, hotSKU, tokens[0], "before")
	redis.Pause()
	t.Cleanup(redis.Resume) // A frozen process cannot be ended gracefully.
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			r, err := place(tokens[i], fmt.Sprint("frozen-", i))
			// The limit of checkouts follows their duration, and may be lower by now than there are calls.
			if err != nil || r.Code != "unavailable" && r.Code != "resource_exhausted" || r.Header.Get("Retry-After") == "" {
				t.Errorf("while Redis is frozen: %s (%v)", r.Raw, err)
			}
		})
	}
	wg.Wait()
	if state := s.breakers()["redis"]; state == "closed" {
		t.Error("after 40 calls without an answer Redis' breaker is closed")
	}
	redis.Resume()
	s.eventually(startTimeout, "orders to be taken again", func() bool {
		_, paid := s.pays(hotSKU, tokens[0], "after")
		return paid
	})
	s.breakerCloses("redis")
}

// breakers are the breakers' states, by part.
func (s *shop) breakers() map[string]string {
	s.t.Helper()
	resp, err := client.Get(s.admin + "/readyz")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var parts struct {
		Breakers map[string]string `json:"breakers"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&parts); err != nil || len(parts.Breakers) == 0 {
		s.t.Fatalf("/readyz names no breakers: %v", err)
	}
	return parts.Breakers
}
