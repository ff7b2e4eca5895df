package mail

import (
	"errors"
	"maps"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// changing is what differs between two messages of the same mail.
var changing = regexp.MustCompile(`(?m)^Date: .*$`)

// TestClient_LocalSendsAsByMessages: the results and the messages of a batch are the same in both ways, with mails that are invalid, are there
// twice, fail, or were sent before.
func TestClient_LocalSendsAsByMessages(t *testing.T) {
	id := order.NewID(0, time.Now())
	euro := order.Money{Currency: "EUR", Amount: 100}
	good := func() order.Order { return newPaidOrder(t) }
	with := func(change func(o *order.Order)) order.Order {
		o := good()
		change(&o)
		return o
	}
	twice, failing, full := good(), good(), good()
	mails := []order.Mail{
		{Kind: order.MailConfirmation, Order: good()},
		{Kind: order.MailShipped, Order: twice},
		{Kind: order.MailShipped, Order: twice},
		{Kind: order.MailCancelled, Order: good()},
		{Kind: order.MailCancelled, Order: good(), Refund: euro},
		{Kind: order.RefundMail(string(id)), Order: good(), Refund: euro},
		{Kind: order.RefundMail(string(id)), Order: good()},
		{Kind: order.RefundMail(string(id)), Order: good(), Refund: order.Money{Currency: "EUR", Amount: -1}},
		{Kind: order.RefundMail("x"), Order: good(), Refund: euro},
		{Kind: order.MailRefund, Order: good(), Refund: euro},
		{Kind: "newsletter", Order: good()},
		{Order: good()},
		{Kind: order.MailShipped, Order: failing},
		{Kind: order.MailShipped, Order: full},
		{Kind: order.MailCancelled, Order: good(), Refund: order.Money{Amount: 1}},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.ID = "../etc" })},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.State = 0 })},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.State = 99 })},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.Currency = "" })},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.Email = "nobody" })},
		{Kind: order.MailShipped, Order: with(func(o *order.Order) { o.Lines = nil })},
	}
	send := func(local bool) (results []string, messages map[string]string) {
		sender := &fakeSender{fails: map[string]error{string(failing.ID) + ".shipped": errors.New("no answer"), string(full.ID) + ".shipped": order.ErrOverloaded}}
		s := newService(t, sender)
		c := Client{Service: s, Policy: breaker.NewPolicies(breaker.DefaultPolicies())[breaker.Mail]}
		if local {
			c = Client{Local: s, Policy: c.Policy}
		}
		for range 2 {
			for _, err := range c.Send(t.Context(), mails) {
				results = append(results, classOf(err))
			}
		}
		for name, raw := range sender.mails {
			sender.mails[name] = changing.ReplaceAllString(raw, "")
		}
		return results, sender.mails
	}
	got, gotMessages := send(true)
	want, wantMessages := send(false)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("mail %d: %s; want %s", i%len(mails), got[i], want[i])
		}
	}
	if !maps.Equal(gotMessages, wantMessages) || len(wantMessages) < 5 {
		t.Errorf("%d messages, which differ from the %d that were sent by messages:\n%v\n%v", len(gotMessages), len(wantMessages), gotMessages, wantMessages)
	}
}

// classOf returns the classes that workers distinguish.
func classOf(err error) string {
	if err == nil {
		return "sent"
	}
	return "invalid " + strconv.FormatBool(errors.Is(err, order.ErrInvalid)) + ", overloaded " + strconv.FormatBool(errors.Is(err, order.ErrOverloaded)) +
		", failure " + strconv.FormatBool(breaker.IsFailure(err))
}
