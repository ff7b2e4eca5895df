package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/mail/mailtest"
	"github.com/spillway/spillway/order"
)

// mailSlowReply makes a mail take about a second: it has three to four replies.
const mailSlowReply = 300 * time.Millisecond

// TestMail_Outages: orders are taken, paid and shipped whatever the mail server does, and each of their mails comes in the end, once. A refusal for now
// (4xx) is retried; a mail that is refused for good (5xx) becomes a dead letter at once, and costs the others nothing. A server that takes a mail and
// does not say so gets it again.
func TestMail_Outages(t *testing.T) {
	t.Parallel() // It waits most of the time.
	for name, modes := range map[string][]mailtest.Mode{
		"slow": {mailtest.Slow}, "down": {mailtest.Down}, "frozen": {mailtest.Frozen}, "4xx": {mailtest.Full}, "unanswered": {mailtest.Forgets},
		"flapping": {mailtest.Down, mailtest.Up},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			office := mailtest.Start(t, mailtest.Up)
			office.SlowReply = mailSlowReply
			o := openOutage(t, "--smtp-host", "127.0.0.1", "--smtp-port", strconv.Itoa(office.Port), "--smtp-plain", "--mail-yield", "0s")
			refused := o.buyAs(mailtest.Refused)
			stop := o.bystanders()
			o.suffer([]string{"PAID"}, func(i int) { office.Set(modes[i%len(modes)]) })
			office.Set(mailtest.Up)
			o.ended = time.Now()
			stop()
			o.bystandersServed()
			o.mostlyPaid()
			o.verify()
			o.mailsCame(office, refused, name)
		})
	}
}

// buyAs buys something for a mail address.
func (o *outage) buyAs(address string) order.ID {
	o.t.Helper()
	body, token := strings.Replace(orderBody(o.sku, 1, goodCard), "a@example.com", address, 1), o.guest()
	var r reply
	o.eventually(startTimeout, "the order to be paid", func() bool {
		r = o.must("CheckoutService/PlaceOrder", token, body, "Idempotency-Key", address)
		return r.Order.State != "ORDER_STATE_PENDING"
	})
	return order.ID(r.Order.ID)
}

// mailsCame checks that each shipped order has its two mails, and that only those of the refused address are dead letters. Only a server that did not say
// that it took a mail got it twice.
func (o *outage) mailsCame(office *mailtest.Server, refused order.ID, mode string) {
	o.t.Helper()
	var due, sent, shipped, dead, others int
	o.eventually(externalDrain, "all mails to be sent", func() bool {
		o.inMySQL("SELECT (SELECT COUNT(*) FROM due_mails), (SELECT COUNT(*) FROM sent_mails)", nil, &due, &sent)
		return due == 0
	})
	o.t.Logf("%s: the mails are sent %s after the return", o.t.Name(), time.Since(o.ended).Round(time.Second))
	o.inMySQL("SELECT COUNT(*) FROM orders WHERE state = ?", []any{order.Shipped}, &shipped)
	o.inMySQL("SELECT COALESCE(SUM(order_id = ?), 0), COALESCE(SUM(order_id <> ?), 0) FROM failed_orders", []any{refused, refused}, &dead, &others)
	if dead != 2 || others != 0 {
		o.t.Errorf("%d dead letters of the refused address and %d of others; want 2 and 0", dead, others)
	}
	mails, repeated := office.Counts()
	if want := 2 * (shipped - 1); mails != want || sent != want {
		o.t.Errorf("the server got %d different mails, and %d are recorded as sent; want %d", mails, sent, want)
	}
	if repeated > 0 && mode != "unanswered" {
		o.t.Errorf("%d mails came more than once", repeated)
	}
}
