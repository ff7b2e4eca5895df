package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

// sqlModeLimit bounds the time from the end of Redis to the first order that is paid in SQL: the attempts, and 10 s in which no process sees Redis.
const sqlModeLimit = startTimeout

// sqlModeArgs make a shop take orders in SQL after the fewest attempts. A checkout that waits for a busy machine must not lose its order to the payment
// reconciler: its 10 s are over when orders are taken in SQL.
func sqlModeArgs(t *testing.T, durability string, more ...string) []string {
	return append([]string{
		"--sql-mode-attempts", "3", "--durability", durability, "--customer-orders", "0", "--lost-after", "1s", "--repair-after", "5s",
		"--reconcile-after", "10s", "--simulate-provider-file", filepath.Join(t.TempDir(), "provider"),
	}, more...)
}

// pays reports whether an order with the key is paid now.
func (s *shop) pays(sku, token, key string) (reply, bool) {
	r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", key)
	return r, err == nil && r.isPaid()
}

// paysWithin awaits the first order that is paid.
func (s *shop) paysWithin(limit time.Duration, sku, token, key string) (r reply) {
	s.t.Helper()
	began := time.Now()
	s.eventually(limit, "an order to be paid", func() (ok bool) {
		r, ok = s.pays(sku, token, key)
		return ok
	})
	s.t.Logf("order %s was paid after %s", key, time.Since(began).Round(100*time.Millisecond))
	return r
}

// mode is where the process reserves stock, as its readiness has it.
func (s *shop) mode() string {
	resp, err := client.Get(s.admin + "/readyz")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var ready struct {
		Mode string `json:"mode"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&ready) // Without a body the mode is empty.
	return ready.Mode
}

// TestSQLMode_EverythingWorks: with durability sql all stock is sold in SQL while Redis is away, and all that comes after it works.
func TestSQLMode_EverythingWorks(t *testing.T) {
	t.Parallel() // It waits most of the time.
	redis := realparts.StartRedis(t)
	s := onRealParts(t, redis.Addr(), sqlModeArgs(t, "sql")...)
	sku, token := s.product(10), s.guest()
	before := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", "before")
	waiting := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 1), "Idempotency-Key", "waiting")
	redis.Kill9()
	first := s.paysWithin(sqlModeLimit, sku, token, "first")
	if s.mode() != "sql" {
		t.Errorf("readiness has mode %q; want sql", s.mode())
	}
	if metrics := scrape(t, s.admin+"/metrics"); !strings.Contains(metrics, "\nspillway_epoch_mode 2\n") {
		t.Errorf("spillway_epoch_mode is not 2, which the alert SQLMode waits for: %s", metrics)
	}
	for key, want := range map[string]string{"before": before.Order.ID, "first": first.Order.ID, "waiting": waiting.Order.ID} {
		body := orderBody(sku, 1, goodCard)
		if key == "waiting" {
			body = payLater(sku, 1)
		}
		if again := s.must("CheckoutService/PlaceOrder", token, body, "Idempotency-Key", key); again.Order.ID != want {
			t.Errorf("key %s got order %s, then %s", key, want, again.Order.ID)
		}
	}
	if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 2, goodCard), "Idempotency-Key", "first"); err != nil ||
		r.Code != "already_exists" {
		t.Errorf("a key for another request: %s (%v)", r.Raw, err)
	}
	s.must("CheckoutService/PayOrder", token, payBody(waiting.Order.ID, goodCard))
	cancelled := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 2), "Idempotency-Key", "cancelled")
	s.must("OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q}`, cancelled.Order.ID))
	if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 1, "4000000000000002"), "Idempotency-Key", "declined"); err != nil ||
		r.Code != "failed_precondition" {
		t.Errorf("a declined card: %s (%v)", r.Raw, err)
	}
	if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 8, goodCard), "Idempotency-Key", "too-many"); err != nil ||
		r.Code != "failed_precondition" ||
		!strings.Contains(r.Raw, `"available":"7"`) {
		t.Errorf("more than there is: %s (%v)", r.Raw, err)
	}
	for _, r := range []reply{before, first, waiting} {
		s.inSQL(r.Order.ID, order.Shipped)
	}
	s.stockIs(sku, 7)
	returned := time.Now()
	redis.Restart()
	s.eventually(startTimeout, "orders to be taken in Redis again", func() bool { return s.mode() == "redis" })
	after := s.paysWithin(startTimeout, sku, token, "after")
	s.inSQL(after.Order.ID, order.Shipped)
	t.Logf("drained %s after the start of Redis", time.Since(returned).Round(100*time.Millisecond))
	if again := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", "first"); again.Order.ID != first.Order.ID {
		t.Errorf("in Redis again, key first got order %s; before %s", again.Order.ID, first.Order.ID)
	}
	s.stockIs(sku, 6)
}

// TestSQLMode_ReserveOnly: with durability journal Redis may have sold what SQL still has. Only what it never got is sold, and what it has acknowledged is
// honoured when it is back.
func TestSQLMode_ReserveOnly(t *testing.T) {
	t.Parallel()
	redis := realparts.StartRedis(t)
	s := onRealParts(t, redis.Addr(), sqlModeArgs(t, "journal", "--reserve-share", "30")...)
	sku, token := s.product(10), s.guest()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.args[0] = "serve" // Nothing is flushed to SQL.
	s.start()
	var acknowledged []string
	for i := range 5 {
		r := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", fmt.Sprint("redis-", i))
		acknowledged = append(acknowledged, r.Order.ID)
	}
	redis.Kill9()
	sold := []string{s.paysWithin(sqlModeLimit, sku, token, "sql-0").Order.ID}
	for i := range 2 {
		sold = append(sold, s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", fmt.Sprint("sql-", i+1)).Order.ID)
	}
	if r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", "sql-3"); err != nil || r.Code != "unavailable" ||
		r.Header.Get("Retry-After") == "" {
		t.Errorf("more than the reserve: %s (%v)", r.Raw, err)
	}
	if r, err := s.call("OrderService/GetOrder", token, fmt.Sprintf(`{"orderId":%q}`, acknowledged[0])); err != nil || r.Code != "unavailable" {
		t.Errorf("an order that only Redis has: %s (%v)", r.Raw, err)
	}
	if r := s.must("OrderService/GetOrder", token, fmt.Sprintf(`{"orderId":%q}`, sold[0])); r.Order.State != "ORDER_STATE_PAID" {
		t.Errorf("an order that was placed in SQL: %s", r.Raw)
	}
	redis.Restart()
	s.eventually(startTimeout, "orders to be taken in Redis again", func() bool { return s.mode() == "redis" })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.args[0] = "all"
	s.start()
	for _, id := range acknowledged {
		s.inSQL(id, order.Shipped)
	}
	// 2 are left, of which Redis does not get any: 30 % of 2 is no whole unit.
	s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 2, goodCard), "Idempotency-Key", "last")
	if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", "none-left"); err != nil ||
		r.Code != "failed_precondition" {
		t.Errorf("when all are sold: %s (%v)", r.Raw, err)
	}
}

// TestSQLMode_KillsOfEverything: two processes take orders; Redis is killed, and each of them while orders are taken in SQL and while Redis comes back.
func TestSQLMode_KillsOfEverything(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sql", "journal"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			redis, dsn := realparts.StartRedis(t), database(t)
			args := append(sqlModeArgs(t, durability, "--reserve-share", "50"), "--mysql", dsn, "--redis", redis.Addr(), "--redis-namespace", "e2e-"+rand.Text())
			one := newShop(t, dsn, slices.Concat(args, []string{"--data-dir", t.TempDir()}))
			two := newShop(t, dsn, slices.Concat(args, []string{"--data-dir", t.TempDir()}))
			f := &failover{fight: newFight(one), durability: durability}
			f.sku, f.units, f.tries, f.pause, f.doors, f.buyers = f.product(failoverUnits), failoverUnits, 1<<30, failoverPause, []*shop{one, two}, failoverBuyers
			f.forgets = durability == "journal"
			f.run(func() {
				paid := func() {
					f.mu.Lock()
					n := len(f.paid)
					f.mu.Unlock()
					f.whenPaid(n + ordersBefore)
				}
				paid()
				redis.Kill9()
				one.eventually(sqlModeLimit, "orders to be taken in SQL", func() bool { return one.mode() == "sql" && two.mode() == "sql" })
				paid()
				two.kill()
				two.start()
				paid()
				one.kill()
				redis.Restart()
				one.start()
				one.eventually(startTimeout, "orders to be taken in Redis again", func() bool { return one.mode() == "redis" && two.mode() == "redis" })
				two.kill()
				two.start()
				paid()
				f.stop()
			})
			f.verify()
		})
	}
}
