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

// outTray keeps the mails that are sent, by name, unless it is told to fail.
type outTray struct {
	mails map[string]string
	sent  int
	err   error
	then  func()
}

func (o *outTray) Send(_ context.Context, m *gomail.Msg, name string) error {
	if o.err != nil {
		return o.err
	}
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return err
	}
	if o.mails == nil {
		o.mails = map[string]string{}
	}
	o.mails[name] = raw.String()
	o.sent++
	if o.then != nil {
		o.then()
	}
	return nil
}

func newEmail(t *testing.T, tray *outTray) Service {
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
	return Service{Sent: store.NewMails(db), Sender: tray, Messages: messages}
}

func anOrderToTellOf(t *testing.T) order.Order {
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

func TestMails_SentOncePerKind(t *testing.T) {
	tray := &outTray{}
	e, o := newEmail(t, tray), anOrderToTellOf(t)
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
	if tray.sent != 5 || len(tray.mails) != 5 {
		t.Errorf("%d mails went out; want one of each kind, and one of each refund", tray.sent)
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
		if text := tray.mails[string(o.ID)+"."+string(kind)]; !strings.Contains(text, want) || !strings.Contains(text, "ada@example.com") {
			t.Errorf("the %s lacks %q: %s", kind, want, text)
		}
	}
}

func TestAMailThatWentOutIsRememberedAlsoWhenItsCallerLeft(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	tray := &outTray{then: leave}
	e, req := newEmail(t, tray), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: anOrderToTellOf(t)})
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if _, err := e.SendOrderMail(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	if tray.sent != 1 {
		t.Errorf("%d mails went out; want 1", tray.sent)
	}
}

func TestAMailThatFailsSaysWhetherItEverWillGo(t *testing.T) {
	for cause, want := range map[error]error{
		order.ErrInvalid:        order.ErrInvalid,
		errors.New("no answer"): order.ErrUnavailable,
	} {
		e := newEmail(t, &outTray{err: cause})
		_, err := e.SendOrderMail(t.Context(), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: anOrderToTellOf(t)}))
		if !errors.Is(err, want) || !errors.Is(err, cause) || breaker.IsFailure(err) != errors.Is(want, order.ErrUnavailable) {
			t.Errorf("%v became %v; want %v", cause, err, want)
		}
	}
	o := anOrderToTellOf(t)
	o.ID = "../../etc/passwd"
	if _, err := newEmail(t, &outTray{}).SendOrderMail(t.Context(), wire.MailRequest(order.Mail{Kind: order.MailShipped, Order: o})); err == nil {
		t.Errorf("an id that is none: %v", err)
	}
}
