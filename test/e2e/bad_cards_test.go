package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

const (
	// badCardCalls are the orders with a bad card of each kind, sent by one customer, and again by many sessions of one address.
	badCardCalls = 1000
	// badCardsAtOnce of them are in progress: more than the 128 slow charges that an address may have in a process. All at once would be the whole load that a
	// busy machine carries, for longer than calls of others may take.
	badCardsAtOnce  = 400
	badCardSessions = 200
	// attackerAddress is the address of the client with the bad cards, as a proxy sends it.
	attackerAddress = "198.51.100.7"
)

// TestProvider_BadCards: whatever is wrong with the cards of one customer, or of one address with hundreds of sessions, the others pay, and no breaker
// opens (I17).
func TestProvider_BadCards(t *testing.T) {
	t.Parallel() // It waits most of the time.
	o := openOutage(t, "--trusted-proxies", "127.0.0.1/32")
	attacker, sessions := o.guest(), make([]string, badCardSessions)
	for i := range sessions {
		sessions[i] = o.guest()
	}
	o.began = time.Now()
	for _, kind := range []struct{ name, card string }{
		{"declined", "4000000000000002"},
		{"wrong check digit", "4242424242424241"},
		{"error at once", "4000000000000036"},
		{"slow", "4000000000000077"},
		{"never answers", "4000000000000259"},
		{"charged, answer lost", "4000000000000341"},
	} {
		began := time.Now()
		o.badCards(kind.name, kind.card, []string{attacker})
		o.badCards(kind.name, kind.card, sessions)
		o.paidSince(began, kind.name+": another customer to pay meanwhile")
		o.mostlyPaid()
		_, busy := o.first(o.began, "PENDING", "unavailable") // Cards of others take too long as well.
		for name, state := range o.breakers() {
			if state != "closed" && !busy {
				t.Errorf("%s: the breaker of %s is %s", kind.name, name, state)
			}
		}
		t.Logf("%s: %v within %s; responses to others: %v", kind.name, o.outcomesOf(kind.name), time.Since(began).Round(time.Second), o.outcomes())
	}
	o.ended = time.Now()
	o.verify()
}

// badCards sends badCardCalls orders with the card, badCardsAtOnce at once, by the customers of the tokens.
func (o *outage) badCards(kind, card string, tokens []string) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, badCardsAtOnce)
	for i := range badCardCalls {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, err := o.call("CheckoutService/PlaceOrder", tokens[i%len(tokens)], orderBody(o.sku, 1, card),
				"Idempotency-Key", fmt.Sprint(card, "-", len(tokens), "-", i), "X-Forwarded-For", attackerAddress)
			if err != nil || r.Code == "invalid_argument" {
				o.t.Errorf("%s: %s (%v)", kind, r.Raw, err)
			}
			c := outageCall{at: time.Now(), outcome: r.Code}
			if r.Status == http.StatusOK {
				c.outcome = r.Order.State
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			o.calls[kind] = append(o.calls[kind], c)
		})
	}
	wg.Wait()
}
