package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// callerPause is a caller's pause after each call.
	callerPause = 250 * time.Millisecond
	// callerLimit bounds the time after a trouble until each call works again: a paid order is cancelled once its row is there, behind those that waited.
	callerLimit = 3 * time.Minute
	// callPayLater is an order without a card.
	callPayLater = "pay later"
)

// callers make one kind of call each, again and again.
type callers struct {
	*shop
	kinds map[string]func() (reply, error)

	mu    sync.Mutex
	works map[string]time.Time // when each kind worked first since the last trouble
	codes map[string]int
}

// newCallers has a call of each kind that customers and operators make.
func newCallers(s *shop) *callers {
	token, operator, sku := s.guest(), s.operator(), s.product(failoverUnits)
	call := func(procedure, token, body string) func() (reply, error) {
		return func() (reply, error) {
			return s.call(procedure, token, strings.ReplaceAll(body, "RANDOM", rand.Text()), "Idempotency-Key", rand.Text())
		}
	}
	address, _, _ := strings.Cut(orderBody(sku, 1, goodCard), `,"email"`)
	_, shipping, _ := strings.Cut(orderBody(sku, 1, goodCard), `"shippingAddress"`)
	shipping, _, _ = strings.Cut(shipping, `,"card"`)
	first := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", rand.Text()).Order.ID
	cancelled, payer := s.guest(), s.guest()
	return &callers{shop: s, works: map[string]time.Time{}, codes: map[string]int{}, kinds: map[string]func() (reply, error){
		"list products":     call("CatalogService/ListProducts", "", "{}"),
		"search":            call("CatalogService/SearchProducts", "", `{"query":"thing"}`),
		"get product":       call("CatalogService/GetProduct", "", fmt.Sprintf(`{"sku":%q}`, sku)),
		"quote":             call("CheckoutService/Quote", token, address+`,"shippingAddress"`+shipping+"}"),
		"get order":         call("OrderService/GetOrder", token, fmt.Sprintf(`{"orderId":%q}`, first)),
		"list orders":       call("OrderService/ListOrders", token, "{}"),
		"start session":     call("SessionService/StartGuestSession", "", "{}"),
		callPayLater:        call("CheckoutService/PlaceOrder", token, payLater(sku, 1)),
		"adjust stock":      call("CatalogService/AdjustStock", operator, fmt.Sprintf(`{"sku":%q,"delta":"1","reason":"more","adjustmentId":"RANDOM"}`, sku)),
		"list dead letters": call("DeadLetterService/ListDeadLetters", operator, "{}"),
		"place and cancel":  func() (reply, error) { return placeAndCancel(s, cancelled, sku) },
		"place and pay":     func() (reply, error) { return placeAndPay(s, payer, sku) },
	}}
}

// placeAndCancel returns the reply of the last step that was made.
func placeAndCancel(s *shop, token, sku string) (reply, error) {
	r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", rand.Text())
	if err != nil || r.Status != http.StatusOK {
		return r, err
	}
	return s.call("OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q,"reason":"changed my mind"}`, r.Order.ID))
}

func placeAndPay(s *shop, token, sku string) (reply, error) {
	r, err := s.call("CheckoutService/PlaceOrder", token, payLater(sku, 1), "Idempotency-Key", rand.Text())
	if err != nil || r.Status != http.StatusOK {
		return r, err
	}
	return s.call("CheckoutService/PayOrder", token, payBody(r.Order.ID, goodCard))
}

// begin starts the callers and returns the function that ends them.
func (c *callers) begin() (end func()) {
	c.t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for kind, call := range c.kinds {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(callerPause):
				}
				r, err := call()
				c.check(kind, r, err)
			}
		})
	}
	return func() {
		close(stop)
		wg.Wait()
	}
}

// check reports a response that no caller may get: neither the result, nor when to come again.
func (c *callers) check(kind string, r reply, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.codes[kind+" no response"]++
	case r.Status == http.StatusOK:
		c.worked(kind)
	case r.Code == "unavailable" || r.Code == "resource_exhausted" || r.Code == "aborted":
		c.codes[kind+" "+r.Code]++
		if r.Header.Get("Retry-After") == "" {
			c.t.Errorf("%s: %s without a retry hint", kind, r.Raw)
		}
	case kind == "place and cancel" && strings.Contains(r.Raw, "ORDER_SHIPPED"),
		kind == "place and pay" && (strings.Contains(r.Raw, "ORDER_EXPIRED") || strings.Contains(r.Raw, "ORDER_CANCELLED")): // It waited for that long.
		c.worked(kind)
	case strings.Contains(r.Raw, "is voided or refunded"): // The payment reconciler was faster than a charge that took longer than --reconcile-after.
		c.codes[kind+" voided"]++
	default:
		c.t.Errorf("%s: %d %s", kind, r.Status, r.Raw)
	}
}

// worked is called with the lock held.
func (c *callers) worked(kind string) {
	if _, before := c.works[kind]; !before {
		c.works[kind] = time.Now()
	}
}

// forget forgets which kinds of calls worked.
func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.works)
}

// worksNow reports whether a call of the kind succeeded since forget.
func (c *callers) worksNow(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.works[kind]
	return ok
}

// everythingWorks waits until each kind of call has succeeded.
func (c *callers) everythingWorks() {
	c.t.Helper()
	c.forget()
	began := time.Now()
	c.eventually(callerLimit, "every call to succeed", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.works) == len(c.kinds)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	last := ""
	for kind, at := range c.works {
		if last == "" || at.After(c.works[last]) {
			last = kind
		}
	}
	c.t.Logf("every call worked %s after the trouble, %q last; refused until then: %v", time.Since(began).Round(10*time.Millisecond), last, c.codes)
	clear(c.codes)
}
