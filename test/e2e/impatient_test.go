package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// TestImpatientGuest_OthersAreServed: one guest with four threads and deadlines of 1 to 12 ms is no failure of Redis. The orders of
// others go through meanwhile, and every breaker stays closed.
func TestImpatientGuest_OthersAreServed(t *testing.T) {
	s := onRealParts(t, realparts.Redis(t), "--durability", "journal", "--customer-orders", "0")
	impatient, stop := s.guest(), make(chan struct{})
	var threads sync.WaitGroup
	for thread := range 4 {
		threads.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				timeout := fmt.Sprint([]int{1, 5, 6, 8, 12}[i%5])
				_, _ = s.call("CheckoutService/PlaceOrder", impatient, orderBody(hotSKU, 1, goodCard),
					"Idempotency-Key", fmt.Sprint(thread, "-", i), "Connect-Timeout-Ms", timeout)
				_, _ = s.call("CartService/AddItem", impatient, fmt.Sprintf(`{"sku":%q,"quantity":1}`, hotSKU), "Connect-Timeout-Ms", timeout)
				_, _ = s.call("OrderService/ListOrders", impatient, `{}`, "Connect-Timeout-Ms", timeout)
			}
		})
	}
	patient, failed, open := s.guest(), 0, 0
	const orders = 100
	// fewOrders meet a machine that is so busy that a call of Redis takes longer than its second. If the impatient guest is the reason, most do.
	const fewOrders = orders / 10
	for i := range orders {
		r, err := s.call("CheckoutService/PlaceOrder", patient, orderBody(hotSKU, 1, goodCard), "Idempotency-Key", fmt.Sprint("p", i))
		var refused bool
		if err != nil || r.Status != http.StatusOK {
			t.Logf("order %d: %s (%v)", i, r.Raw, err)
			refused = true
			failed++
		}
		for name, state := range s.breakers() {
			if state != "closed" {
				t.Logf("after order %d the breaker of %s is %s", i, name, state)
				refused = true
				open++
			}
		}
		if refused { // An open breaker refuses at once for a second.
			<-time.After(slowRetry)
		}
	}
	close(stop)
	threads.Wait()
	if failed > fewOrders || open > fewOrders {
		t.Errorf("%d of %d orders of a patient guest failed beside an impatient one, and %d times a breaker was not closed", failed, orders, open)
	}
	// What the impatient guest left behind is one order for each key, and the next retry gets it.
	s.eventually(startTimeout, "a retry to be answered", func() bool {
		_, paid := s.pays(hotSKU, impatient, "0-0")
		return paid
	})
}
