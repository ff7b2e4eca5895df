package observe

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// relay is the worker that runs in a process of its own here.
const relay = "order-relay"

// withoutRelay are the other workers.
func withoutRelay() (names string) {
	for _, w := range app.WorkerNames() {
		if w != relay {
			names += "," + w
		}
	}
	return names[1:]
}

// deployment is a shop with its processes, and what observes them.
type deployment struct {
	*shop
	prometheus         *realparts.Proc
	serve, relay, work *process
}

// deploy starts a shop of three processes: the API, the relay, and the other workers. The carrier is ok or down. env is that of all
// processes.
func deploy(t *testing.T, carrier string, env ...string) *deployment {
	t.Helper()
	d := &deployment{shop: newShop(t, realparts.Redis(t), "spillway-test-0", env...)}
	d.serve = d.shop.serve()
	d.relay = d.shop.work("relay", "--workers", relay)
	d.work = d.shop.work("work", "--workers", withoutRelay(), "--simulate-carrier", carrier)
	d.prometheus = realparts.StartPrometheus(t, d.serve.admin, d.relay.admin, d.work.admin)
	return d
}

// place places an order and returns its id.
func (d *deployment) place(sku, token, key string) order.ID {
	d.t.Helper()
	r := d.must("CheckoutService/PlaceOrder", token, orderBody(sku, goodCard), "Idempotency-Key", key)
	return order.ID(r.Order.ID)
}

// inState waits until the order's row has the state.
func (d *deployment) inState(orders *store.Orders, id order.ID, want order.State) {
	d.t.Helper()
	eventually(d.t, pathTimeout, fmt.Sprintf("order %s to be %s", id, want), func() bool {
		o, err := orders.Get(d.t.Context(), id)
		return err == nil && o.State == want
	})
}

func orderBody(sku, card string) string {
	return fmt.Sprintf(`{"lines":[{"sku":%q,"quantity":1}],"currencyCode":"EUR","email":"a@example.com",`+
		`"shippingAddress":{"name":"A","street":"S 1","city":"Berlin","postalCode":"10115","countryCode":"DE"},`+
		`"card":{"number":%q,"cvv":"123","expiryYear":2040,"expiryMonth":1}}`, sku, card)
}

// TestPrometheus_FiveNames: what operators know by name has the right values on Prometheus, over three processes, of which one was restarted. The
// shipper ships some orders; others the rescuer, since the carrier was down.
func TestPrometheus_FiveNames(t *testing.T) {
	d := deploy(t, "down")
	orders := store.NewOrders(d.db())
	sku, token := d.product(7), d.guest()
	var failed []order.ID
	for i := range 2 {
		failed = append(failed, d.place(sku, token, fmt.Sprint("retry-", i)))
	}
	for _, id := range failed {
		d.inState(orders, id, order.ShipFailed)
	}
	d.work.stop()
	d.work.args[slices.Index(d.work.args, "down")] = "ok"
	d.work.start()
	for i := range 3 { // Each is flushed by itself.
		id := d.place(sku, token, fmt.Sprint("normal-", i))
		d.inState(orders, id, order.Shipped)
	}
	d.must("CheckoutService/PlaceOrder", token, orderBody(sku, goodCard), "Idempotency-Key", "normal-0") // counted before
	if r := d.call("CheckoutService/PlaceOrder", token, orderBody(sku, "4000000000000002"), "Idempotency-Key", "declined"); r.Code != "failed_precondition" {
		t.Fatalf("a declined card: %s", r.Raw)
	}
	if r := d.call("CheckoutService/PlaceOrder", token, orderBody(d.product(0), goodCard), "Idempotency-Key", "none"); r.Code != "failed_precondition" {
		t.Fatalf("sold out: %s", r.Raw)
	}
	for _, id := range failed {
		d.inState(orders, id, order.Shipped)
	}
	for expr, right := range map[string]func(float64) bool{
		`sum(app_order_placed_total)`:                             equals(5),
		`sum(app_stock_charge_success_total)`:                     equals(6), // with the declined one
		`sum(app_shipping_success_total{source="normal"})`:        equals(3),
		`sum(app_shipping_success_total{source="retry"})`:         equals(2),
		`max(app_forwarder_lag_ms)`:                               equals(0),
		`sum(repo_flush_success_total)`:                           atLeast(3),
		`sum(spillway_checkout_results_total{result="SOLD_OUT"})`: equals(1),
		`sum(up{job="spillway"})`:                                 equals(3),
	} {
		becomes(t, d.prometheus, expr, right)
	}
	rulesAreHealthy(t, d.prometheus)
}

// rulesAreHealthy checks that Prometheus has evaluated all alert rules, on the series of a running shop.
func rulesAreHealthy(t *testing.T, prometheus *realparts.Proc) {
	t.Helper()
	eventually(t, pathTimeout, "the alert rules to be evaluated", func() bool {
		status, body := get("http://" + prometheus.Addr() + "/api/v1/rules?type=alert")
		return status == http.StatusOK && strings.Contains(body, `"name":"ForwarderLags"`) &&
			strings.Count(body, `"health":"ok"`) == strings.Count(body, `"health":`)
	})
}

const (
	lag = "max(app_forwarder_lag_ms)"
	// rises is how often the lag must be found greater than before.
	rises = 3
	// clockSkew is how much the clocks of Redis and of this test may differ: they are on one machine.
	clockSkew = time.Second
)

// TestForwarderLag_RelayIsKilled: the lag rises on Prometheus as long as the relay is dead, and falls when it is back.
func TestForwarderLag_RelayIsKilled(t *testing.T) {
	d := deploy(t, "ok")
	orders := store.NewOrders(d.db())
	sku, token := d.product(1), d.guest()
	becomes(t, d.prometheus, lag, equals(0))
	d.relay.kill()
	placed := time.Now()
	id := d.place(sku, token, "without-a-relay")
	v := becomes(t, d.prometheus, lag, func(v float64) bool { return v > 0 })
	for range rises {
		v = becomes(t, d.prometheus, lag, func(now float64) bool { return now > v })
	}
	if most := time.Since(placed) + clockSkew; time.Duration(v)*time.Millisecond > most {
		t.Errorf("the lag is %v ms, %s after the order", v, most)
	}
	if o, err := orders.Get(t.Context(), id); err == nil {
		t.Errorf("without a relay the order became %s in SQL", o.State)
	}
	d.relay.start()
	becomes(t, d.prometheus, lag, equals(0))
	d.inState(orders, id, order.Shipped)
}
