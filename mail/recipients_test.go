package mail

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// TestService_FloodOfOneRecipient: someone places 1,000 orders under the address of a victim, spelled in several ways. The victim gets no more than
// the limit, a customer gets each mail, and the rest is recorded and never sent.
func TestService_FloodOfOneRecipient(t *testing.T) {
	const limit, orders = 5, 1000
	sender := &fakeSender{}
	s := newService(t, sender).WithRecipientLimit(limit)
	now := time.Now()
	s.now = func() time.Time { return now }
	count := map[string]int{}
	var flood []order.Mail
	for i := range orders {
		o := newPaidOrder(t)
		o.Email = []string{"victim@example.com", "VICTIM@example.com", "victim+1@example.com"}[i%3]
		flood = append(flood, order.Mail{Kind: order.MailConfirmation, Order: o})
	}
	customers := 0
	for batch := range slices.Chunk(flood, MaxBatch-1) {
		customer := newPaidOrder(t)
		customer.Email = fmt.Sprintf("customer%d@example.com", customers)
		customers++
		got := outcomes(t, s, append(slices.Clone(batch), order.Mail{Kind: order.MailConfirmation, Order: customer})...)
		if got[len(got)-1] != "SENT" {
			t.Fatalf("the customer's mail: %s", got[len(got)-1])
		}
		for _, outcome := range got[:len(got)-1] {
			count[outcome]++
		}
	}
	if count["SENT"] != limit || count["SKIPPED"] != orders-limit {
		t.Errorf("the victim's mails: %v; want %d sent and the others skipped", count, limit)
	}
	// An hour later the address gets mails again. Those that were skipped are not sent any more.
	now = now.Add(recipientWindow + time.Minute)
	later := newPaidOrder(t)
	later.Email = "victim@example.com"
	if got := outcomes(t, s, flood[orders-1], order.Mail{Kind: order.MailConfirmation, Order: later}); !slices.Equal(got, []string{"ALREADY_SENT", "SENT"}) {
		t.Errorf("an hour later: %v", got)
	}
}

// TestService_UsualCustomerIsBelowTheLimit: the mails of an order for each of its kinds, of ten orders within the hour.
func TestService_UsualCustomerIsBelowTheLimit(t *testing.T) {
	s := newService(t, &fakeSender{}).WithRecipientLimit(DefaultRecipientLimit)
	for range 10 {
		o := newPaidOrder(t)
		got := outcomes(
			t,
			s,
			order.Mail{Kind: order.MailConfirmation, Order: o},
			order.Mail{Kind: order.MailShipped, Order: o},
			order.Mail{Kind: order.MailCancelled, Order: o},
		)
		if !slices.Equal(got, []string{"SENT", "SENT", "SENT"}) {
			t.Fatal(got)
		}
	}
}
