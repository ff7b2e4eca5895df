package mail

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// fakeSender records the mails that are sent, by name. It fails with err if that is set, and calls then after each mail.
type fakeSender struct {
	mails map[string]string
	sent  int
	err   error
	then  func()
}

func (f *fakeSender) Send(_ context.Context, m *gomail.Msg, name string) error {
	if f.err != nil {
		return f.err
	}
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return err
	}
	if f.mails == nil {
		f.mails = map[string]string{}
	}
	f.mails[name] = raw.String()
	f.sent++
	if f.then != nil {
		f.then()
	}
	return nil
}

// newService returns a service with a database of its own that sends by sender.
func newService(t *testing.T, sender *fakeSender) Service {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "mail.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages, err := NewMessages("Shop <shop@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	return Service{Sent: store.NewMails(db), Sender: sender, Messages: messages}
}

// newPaidOrder returns a paid order of three mugs.
func newPaidOrder(t *testing.T) order.Order {
	t.Helper()
	o := order.Order{
		ID: order.NewID(0, time.Now()), State: order.Paid, Currency: "EUR", Email: "ada@example.com", TrackingID: "SPW1",
		Lines:   []order.Line{{SKU: "MUG", Name: "Mug", Quantity: 3, UnitPrice: 899}},
		Address: order.Address{Name: "Ada", Street: "Weg 1", City: "Berlin", CountryCode: "DE"},
	}
	if err := o.Price(948); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestService_EachKindIsSentOnce(t *testing.T) {
	sender := &fakeSender{}
	e, o := newService(t, sender), newPaidOrder(t)
	refunds := []string{string(order.NewID(0, time.Now())), string(order.NewID(0, time.Now()))}
	for range 2 {
		refund := order.Money{Currency: "EUR", Amount: 3645}
		for _, m := range []order.Mail{
			{Kind: order.MailConfirmation, Order: o},
			{Kind: order.MailShipped, Order: o},
			{Kind: order.MailCancelled, Order: o, Refund: refund},
			{Kind: order.RefundMail(refunds[0]), Order: o, Refund: refund},
			{Kind: order.RefundMail(refunds[1]), Order: o, Refund: refund},
		} {
			if _, err := e.SendOrderMail(t.Context(), wire.MailRequest(m)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sender.sent != 5 || len(sender.mails) != 5 {
		t.Errorf("%d mails were sent; want one of each kind, and one of each refund", sender.sent)
	}
	for _, bad := range []order.Mail{
		{Kind: order.RefundMail("../../etc"), Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}},
		{Kind: order.RefundMail(refunds[0]), Order: o},
		{Kind: order.MailRefund, Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}},
		{Kind: "newsletter", Order: o},
		{Order: o},
	} {
		if _, err := e.SendOrderMail(t.Context(), wire.MailRequest(bad)); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("a mail of kind %q with %s: %v; want ErrInvalid", bad.Kind, bad.Refund, err)
		}
	}
	for kind, want := range map[order.MailKind]string{order.MailConfirmation: "is paid", order.MailShipped: "SPW1", order.MailCancelled: "gave back 36.45 EUR", order.RefundMail(refunds[0]): "gave back 36.45 EUR"} {
		if text := sender.mails[string(o.ID)+"."+string(kind)]; !strings.Contains(text, want) || !strings.Contains(text, "ada@example.com") {
			t.Errorf("the %s lacks %q: %s", kind, want, text)
		}
	}
}

func TestService_CallerLeavesAfterSending(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	sender := &fakeSender{then: leave}
	e, req := newService(t, sender), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: newPaidOrder(t)})
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if _, err := e.SendOrderMail(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	if sender.sent != 1 {
		t.Errorf("%d mails were sent; want 1", sender.sent)
	}
}

func TestService_PermanentAndTransientFailures(t *testing.T) {
	for cause, want := range map[error]error{
		order.ErrInvalid:        order.ErrInvalid,
		errors.New("no answer"): order.ErrUnavailable,
	} {
		e := newService(t, &fakeSender{err: cause})
		_, err := e.SendOrderMail(t.Context(), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: newPaidOrder(t)}))
		if !errors.Is(err, want) || !errors.Is(err, cause) || breaker.IsFailure(err) != errors.Is(want, order.ErrUnavailable) {
			t.Errorf("%v became %v; want %v", cause, err, want)
		}
	}
	o := newPaidOrder(t)
	o.ID = "../../etc/passwd"
	if _, err := newService(t, &fakeSender{}).SendOrderMail(t.Context(), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: o})); err == nil {
		t.Errorf("an invalid order id: %v", err)
	}
}
