package e2e

import (
	"fmt"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

// TestSQLMode_DurabilityChangedBefore: `spillway durability sql` with a backlog that is not flushed, and a Redis that is away when the shop starts. The backlog was
// acknowledged: its units are not sold in SQL, and it is shipped when Redis is back.
func TestSQLMode_DurabilityChangedBefore(t *testing.T) {
	t.Parallel() // It waits most of the time.
	redis := realparts.StartRedis(t)
	s := onRealParts(t, redis.Addr(), sqlModeArgs(t, "journal")...)
	sku, token := s.product(5), s.guest()
	end := func() {
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	end()
	s.args[0] = "serve" // Nothing is flushed to SQL.
	s.start()
	var acknowledged []string
	for i := range 4 {
		r := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", fmt.Sprint("redis-", i))
		acknowledged = append(acknowledged, r.Order.ID)
	}
	end()
	redis.Kill9()
	if out, err := command(t, binary, "durability", "sql", "--mysql", s.dsn).CombinedOutput(); err != nil {
		t.Fatalf("durability: %v\n%s", err, out)
	}
	s.setFlag("--durability", "sql")
	s.args[0] = "all"
	s.startWithoutWaiting()
	s.eventually(sqlModeLimit, "orders not to be taken in SQL", func() bool { return s.logged("orders are not taken in SQL before redis is back") })
	if r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(sku, 2, goodCard), "Idempotency-Key", "meanwhile"); err != nil || r.Code != "unavailable" ||
		r.Header.Get("Retry-After") == "" {
		t.Errorf("meanwhile: %s (%v)", r.Raw, err)
	}
	redis.Restart()
	for _, id := range acknowledged {
		s.inSQL(id, order.Shipped)
	}
	s.paysWithin(startTimeout, sku, token, "last")
	s.stockIs(sku, 0)
}
