package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// quickly makes the repairing workers as impatient as they can be: a charge may take 3 s.
var quickly = []string{"--reconcile-after", "4s", "--customer-orders", "0"}

// payLater is an order without a card.
func payLater(sku string, quantity int) string {
	body, _, _ := strings.Cut(orderBody(sku, quantity, goodCard), `,"card"`)
	return body + "}"
}

func payBody(id, card string) string {
	return fmt.Sprintf(`{"orderId":%q,"card":{"number":%q,"cvv":"123","expiryYear":2030,"expiryMonth":1}}`, id, card)
}

// inSQL waits until SQL has the order in the state.
func (s *shop) inSQL(id string, want order.State) order.Order {
	s.t.Helper()
	var o order.Order
	s.eventually(startTimeout, fmt.Sprintf("order %s to be %s in SQL", id, want), func() (ok bool) {
		var err error
		o, err = store.NewOrders(s.db()).Get(s.t.Context(), order.ID(id))
		return err == nil && o.State == want
	})
	return o
}

// stockIs waits until SQL has that many units of the SKU.
func (s *shop) stockIs(sku string, want int64) {
	s.t.Helper()
	s.eventually(startTimeout, fmt.Sprintf("%d units of %s in SQL", want, sku), func() bool {
		units, err := store.NewStock(s.db()).SQLUnits(s.t.Context(), []order.SKU{order.SKU(sku)})
		return err == nil && units[order.SKU(sku)].Stock == want
	})
}

// TestOrder_EveryCardReachesItsFinalState: unknown outcomes are found out (I9).
func TestOrder_EveryCardReachesItsFinalState(t *testing.T) {
	s := embedded(t, quickly...)
	token := s.guest()
	for i, c := range []struct {
		card   string
		end    order.State
		reason string
		left   int64
	}{
		{"4000000000000259", order.Cancelled, "payment_unknown", 3}, // no answer, nothing taken
		{"4000000000000036", order.Cancelled, "payment_unknown", 3}, // the provider is down
		{"4000000000000341", order.Shipped, "", 1},                  // taken, answer lost
		{"4000000000000002", order.Cancelled, "card_declined: generic_decline", 3},
	} {
		t.Run(c.card, func(t *testing.T) {
			s := *s
			s.t = t
			sku := s.product(3)
			r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 2, c.card), "Idempotency-Key", fmt.Sprint("card-", i))
			if err != nil {
				t.Fatal(err)
			}
			id := r.Order.ID
			if id == "" { // Declined: the answer names the order in its details only.
				list := s.must("OrderService/ListOrders", token, `{"pageSize":1}`)
				s.eventually(startTimeout, "the declined order's row", func() bool {
					list = s.must("OrderService/ListOrders", token, `{"pageSize":1,"states":["ORDER_STATE_CANCELLED"]}`)
					return strings.Contains(list.Raw, "generic_decline")
				})
				s.stockIs(sku, c.left)
				return
			}
			o := s.inSQL(id, c.end)
			if o.CancelReason.Text != c.reason {
				t.Errorf("cancelled because %q; want %q", o.CancelReason, c.reason)
			}
			s.stockIs(sku, c.left)
		})
	}
}

// TestPaymentReconciler_ChargeBeforeAKillIsFound: the provider is another party, and remembers a charge although its response was lost.
func TestPaymentReconciler_ChargeBeforeAKillIsFound(t *testing.T) {
	s := embedded(t, append([]string{"--simulate-provider-file", filepath.Join(t.TempDir(), "provider.db")}, quickly...)...)
	sku := s.product(5)
	placed := s.must("CheckoutService/PlaceOrder", s.guest(), orderBody(sku, 2, "4000000000000341"), "Idempotency-Key", "lost")
	if placed.Order.State != "ORDER_STATE_PENDING" {
		t.Fatalf("placed: %s", placed.Raw)
	}
	s.kill()
	s.start()
	s.inSQL(placed.Order.ID, order.Paid) // Its event went with the queue: a minute later the ship rescuer finds it.
	s.stockIs(sku, 3)
}

// inTime places an order and pays it, again with another one while that takes longer than there is time for, and returns the id of the paid one.
func (s *shop) inTime(limit time.Duration, place func(try int) (id string, paid bool)) string {
	s.t.Helper()
	for try := 0; ; try++ {
		began := time.Now()
		id, paid := place(try)
		if paid {
			return id
		}
		if took := time.Since(began); took < limit || try == triesInTime {
			s.t.Fatalf("order %s was not paid within %s", id, took)
		}
	}
}

// triesInTime bounds the orders that are placed until one is paid in time.
const triesInTime = 10

// TestPayOrder_PaidLaterOrExpires.
func TestPayOrder_PaidLaterOrExpires(t *testing.T) {
	const payWithin = 3 * time.Second
	s := embedded(t, append([]string{"--pay-within", payWithin.String()}, quickly...)...)
	token, other, sku := s.guest(), s.guest(), s.product(50)
	second := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 1), "Idempotency-Key", "expires")
	// Paying finds an order that is not paid in time cancelled. On a busy machine the next one may be in time.
	first := s.inTime(payWithin, func(try int) (id string, paid bool) {
		key, began := fmt.Sprint("paid-", try), time.Now()
		first := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 2), "Idempotency-Key", key)
		if first.Order.State != "ORDER_STATE_PENDING" || !strings.Contains(first.Raw, "expireTime") {
			t.Fatalf("placed without a card: %s", first.Raw)
		}
		if again := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 2), "Idempotency-Key", key); again.Order.ID != first.Order.ID ||
			again.Order.State != "ORDER_STATE_PENDING" && time.Since(began) < payWithin {
			t.Errorf("the retry without a card: %s", again.Raw)
		}
		if r, err := s.definite("CheckoutService/PlaceOrder", token, orderBody(sku, 2, goodCard), "Idempotency-Key", key); err != nil || r.Code != "already_exists" {
			t.Errorf("the same key with a card: %s (%v)", r.Raw, err)
		}
		if r, err := s.definite("CheckoutService/PayOrder", other, payBody(first.Order.ID, goodCard)); err != nil || r.Code != "not_found" {
			t.Errorf("another customer pays: %s (%v)", r.Raw, err)
		}
		r, err := s.definite("CheckoutService/PayOrder", token, payBody(first.Order.ID, goodCard))
		if err != nil || r.Status != http.StatusOK && r.Code != "failed_precondition" {
			t.Errorf("paid: %s (%v)", r.Raw, err)
		}
		return first.Order.ID, r.Status == http.StatusOK
	})
	s.eventually(startTimeout, "a second payment to find the order paid", func() bool {
		return s.must("CheckoutService/PayOrder", token, payBody(first, goodCard)).Order.State != "ORDER_STATE_PENDING"
	})
	s.inSQL(first, order.Shipped)
	if o := s.inSQL(second.Order.ID, order.Cancelled); o.CancelReason.Text != "expired" {
		t.Errorf("it was cancelled because %q", o.CancelReason)
	}
	s.stockIs(sku, 48)
	if r, err := s.definite("CheckoutService/PayOrder", token, payBody(second.Order.ID, goodCard)); err != nil || r.Code != "failed_precondition" {
		t.Errorf("paying an expired order: %s (%v)", r.Raw, err)
	}
}

// TestPayOrder_AtTheMomentOfExpiry: whichever wins, the money and the units agree with the state.
func TestPayOrder_AtTheMomentOfExpiry(t *testing.T) {
	s := embedded(t, "--pay-within", "1500ms", "--reconcile-after", "1s", "--customer-orders", "0")
	sku := s.product(100)
	ledger := store.NewCharges(s.db())
	t.Cleanup(ledger.Close)
	const rounds = 12
	ids, tokens := make([]string, rounds), make([]string, rounds) // One customer has 2 charges at once.
	for i := range ids {
		tokens[i] = s.guest()
		ids[i] = s.must("CheckoutService/PlaceOrder", tokens[i], payLater(sku, 1), "Idempotency-Key", fmt.Sprint(i)).Order.ID
	}
	// Each charge takes 1.5 s: some are booked before the reconciler looks, some while, some after.
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			<-time.After(time.Duration(i) * 150 * time.Millisecond)
			if _, err := s.call("CheckoutService/PayOrder", tokens[i], payBody(id, "4000000000000077")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sold := int64(0)
	for _, id := range ids {
		var o order.Order
		s.eventually(startTimeout, "order "+id+" to end", func() bool {
			var err error
			o, err = store.NewOrders(s.db()).Get(t.Context(), order.ID(id))
			return err == nil && o.State.Final()
		})
		var ch order.Charge
		var err error
		s.eventually(startTimeout, "the refund of "+id+", if there is one, to be confirmed", func() bool {
			ch, err = ledger.Get(t.Context(), order.ID(id))
			return err != nil || ch.State != order.ChargeRefunding
		})
		switch {
		case err != nil:
			t.Errorf("order %s is %s and has no line in the ledger: %v", id, o.State, err)
		case o.State == order.Shipped && ch.State == order.ChargeSucceeded:
			sold++
		case o.State == order.Cancelled && (ch.State == order.ChargeVoided || ch.State == order.ChargeRefunded): // Refunded is what was taken late.
		default:
			t.Errorf("order %s is %s and its charge is in state %d", id, o.State, ch.State)
		}
	}
	t.Logf("%d of %d were paid in time", sold, rounds)
	s.stockIs(sku, 100-sold)
}

// TestCancelOrder_ByTheCustomer an order that is not paid; one that is shipped stays.
func TestCancelOrder_ByTheCustomer(t *testing.T) {
	s := embedded(t, quickly...)
	token, sku := s.guest(), s.product(5)
	id := s.must("CheckoutService/PlaceOrder", token, payLater(sku, 2), "Idempotency-Key", "k").Order.ID
	body := fmt.Sprintf(`{"orderId":%q,"reason":"changed my mind"}`, id)
	if r, err := s.definite("OrderService/CancelOrder", s.guest(), body); err != nil || r.Code != "not_found" {
		t.Errorf("another customer cancels: %s (%v)", r.Raw, err)
	}
	for range 2 {
		if r := s.must("OrderService/CancelOrder", token, body); r.Order.State != "ORDER_STATE_CANCELLED" {
			t.Errorf("cancelled: %s", r.Raw)
		}
	}
	s.stockIs(sku, 5)
	if o := s.inSQL(id, order.Cancelled); o.CancelReason.Text != "by the customer: changed my mind" {
		t.Errorf("cancelled because %q", o.CancelReason)
	}
	if r, err := s.definite("CheckoutService/PayOrder", token, payBody(id, goodCard)); err != nil || r.Code != "failed_precondition" {
		t.Errorf("paying a cancelled order: %s (%v)", r.Raw, err)
	}
	shipped := s.must("CheckoutService/PlaceOrder", token, orderBody(sku, 1, goodCard), "Idempotency-Key", "k2").Order.ID
	s.inSQL(shipped, order.Shipped)
	if r, err := s.definite("OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q}`, shipped)); err != nil || r.Code != "failed_precondition" ||
		r.Status != http.StatusBadRequest {
		t.Errorf("cancelling a shipped order: %s (%v)", r.Raw, err)
	}
}
