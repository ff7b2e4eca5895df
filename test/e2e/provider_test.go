package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// TestProvider_Slow: each call of the provider takes 2 s more. Orders with a card take as long, and are paid; nothing else is slow or refused, and no
// breaker opens.
func TestProvider_Slow(t *testing.T) {
	t.Parallel() // It waits most of the time.
	o := openOutage(t)
	stop := o.bystanders()
	o.during([]string{"PAID"}, "provider slow")
	stop()
	o.bystandersServed()
	o.mostlyPaid()
	o.breakerCloses("charge")
	o.verify()
}

const (
	// slowBuyers are more than the 64 charges that a process with an embedded Redis has in progress, each from an address of its own.
	slowBuyers = 100
	// slowRetry is the pause before a refused buyer tries again.
	slowRetry = 500 * time.Millisecond
)

// TestProvider_SlowWithAllSlotsTaken: more cards than may be charged at once meet a slow provider. Those beyond are refused at once, and calls that need no
// provider are served.
func TestProvider_SlowWithAllSlotsTaken(t *testing.T) {
	t.Parallel()
	o := &outage{file: filepath.Join(t.TempDir(), "outages"), stop: make(chan struct{})}
	o.told, o.owners, o.asked, o.calls = map[order.ID]string{}, map[order.ID]string{}, map[order.ID]bool{}, map[string][]outageCall{}
	o.shop = embedded(t, "--customer-orders", "0", "--simulate-outages", o.file, "--trusted-proxies", "127.0.0.1/32")
	o.sku = o.product(1_000_000)
	t.Cleanup(o.close)
	o.set("provider slow")
	for n := range slowBuyers {
		token := o.guest()
		o.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-o.stop:
					return
				case <-time.After(slowRetry):
				}
				o.record("PlaceOrder", "CheckoutService/PlaceOrder", token, orderBody(o.sku, 1, goodCard), "Idempotency-Key", fmt.Sprint(n, "-", i),
					"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", n))
			}
		})
	}
	o.began = time.Now()
	o.eventually(startTimeout, "a card beyond the slots to be refused", func() bool {
		_, refused := o.first(o.began, "resource_exhausted")
		return refused
	})
	stop := o.bystanders()
	o.suffer([]string{"PAID", "resource_exhausted"}, func(int) {})
	stop()
	o.close()
	o.bystandersServed()
	// A slow charge has half a second left of its 2.5 s. On a busy machine some take longer, and their orders stay PENDING.
	if got := o.outcomes(); got["PAID"] == 0 || got["resource_exhausted"] == 0 || got["unavailable"] > got["PAID"] {
		t.Errorf("the responses: %v; want PAID, and resource_exhausted for cards beyond the slots", got)
	}
	t.Logf("the responses: %v", o.outcomes())
}

// TestProvider_Down: the first orders stay PENDING, because their cards may have been charged. Then the breaker opens and orders with a card are
// refused before stock is reserved for them. Calls that need no provider go on.
func TestProvider_Down(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"down", "silent"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := openOutage(t)
			stop := o.bystanders()
			o.during([]string{"PENDING", "unavailable"}, "provider "+mode)
			stop()
			o.bystandersServed()
			if got := o.outcomes(); got["PENDING"] == 0 || got["unavailable"] == 0 {
				t.Errorf("the responses: %v; want PENDING, and then unavailable", got)
			}
			o.verify()
			if state := o.breakers()["charge"]; state != "closed" {
				t.Errorf("the breaker of charges is %s", state)
			}
		})
	}
}

// TestProvider_Unanswered: cards are charged without a response. Orders stay PENDING until the reconciler finds their charges. The provider responds to
// queries, so that its breaker stays closed.
func TestProvider_Unanswered(t *testing.T) {
	t.Parallel()
	o := openOutage(t)
	o.during([]string{"PENDING"}, "provider unanswered")
	if got := o.outcomes(); got["PENDING"] == 0 || got["unavailable"] > got["PENDING"] {
		t.Errorf("the responses: %v; want PENDING", got)
	}
	o.breakerCloses("charge")
	o.verify()
}

// lateBy is later than the reconciler cancels an order with an unknown charge, and earlier than the first recheck of a voided charge.
const lateBy = 20 * time.Second

// TestProvider_Late: cards are charged when their orders are cancelled. Each charge is found and refunded, once.
func TestProvider_Late(t *testing.T) {
	t.Parallel()
	o := openOutage(t)
	o.during([]string{"PENDING"}, "provider late "+lateBy.String())
	if got := o.outcomes(); got["PENDING"] == 0 {
		t.Errorf("the responses: %v; want PENDING", got)
	}
	o.eventually(externalDrain, "the last late charge", func() bool { return time.Since(o.ended) > lateBy+time.Second })
	o.verify()
	late, refunds := o.ids(o.provider, "SELECT order_id FROM outcomes WHERE refunded = 1"), o.ids(o.provider, "SELECT order_id FROM refunds")
	if len(late) == 0 || !slices.Equal(late, refunds) {
		t.Errorf("%d charges of cancelled orders had %d refunds; want one for each", len(late), len(refunds))
	}
	t.Logf("%d cards were charged late and refunded", len(late))
}

// TestProvider_Flapping: it is down and up by turns, each for a second. No card is charged twice, and the breaker does not stay open.
func TestProvider_Flapping(t *testing.T) {
	t.Parallel()
	o := openOutage(t)
	stop := o.bystanders()
	o.during([]string{"PAID"}, "provider down", "provider ok")
	stop()
	o.bystandersServed()
	if got := o.outcomes(); got["PAID"] == 0 {
		t.Errorf("the responses: %v; want PAID between two outages", got)
	}
	o.verify()
	if state := o.breakers()["charge"]; state != "closed" {
		t.Errorf("the breaker of charges is %s", state)
	}
}
