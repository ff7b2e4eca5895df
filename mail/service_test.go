package mail

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// fakeSender records the mails that are sent, by name. Those in fails fail with their error, and all fail with err if that is set. It calls
// then after each batch.
type fakeSender struct {
	mails map[string]string
	sent  int
	calls int
	fails map[string]error
	err   error
	then  func()
}

func (f *fakeSender) Send(_ context.Context, mails []Message) []error {
	f.calls++
	errs := make([]error, len(mails))
	for i, m := range mails {
		if errs[i] = errors.Join(f.err, f.fails[m.Name]); errs[i] != nil {
			continue
		}
		if f.mails == nil {
			f.mails = map[string]string{}
		}
		f.mails[m.Name] = string(m.Raw)
		f.sent++
	}
	if f.then != nil {
		f.then()
	}
	return errs
}

// newMails returns the repository of a database of its own.
func newMails(t *testing.T) *store.Mails {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "mail.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store.NewMails(db)
}

// newService returns a service with a database of its own that sends by sender.
func newService(t *testing.T, sender Sender) *Service {
	t.Helper()
	messages, err := NewMessages("Shop <shop@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	return NewService(newMails(t), sender, messages)
}

// outcomes sends the mails in one call and returns the outcome of each, without the common prefix.
func outcomes(t *testing.T, s *Service, mails ...order.Mail) []string {
	t.Helper()
	resp, err := s.SendOrderMails(t.Context(), wire.MailsRequest(mails))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range resp.GetResults() {
		out = append(out, strings.TrimPrefix(r.GetOutcome().String(), "SEND_ORDER_MAIL_OUTCOME_"))
	}
	return out
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
	s, o := newService(t, sender), newPaidOrder(t)
	refunds := []string{string(order.NewID(0, time.Now())), string(order.NewID(0, time.Now()))}
	refund := order.Money{Currency: "EUR", Amount: 3645}
	mails := []order.Mail{
		{Kind: order.MailConfirmation, Order: o},
		{Kind: order.MailShipped, Order: o},
		{Kind: order.MailCancelled, Order: o, Refund: refund},
		{Kind: order.RefundMail(refunds[0]), Order: o, Refund: refund},
		{Kind: order.RefundMail(refunds[1]), Order: o, Refund: refund},
	}
	for _, want := range []string{"SENT", "ALREADY_SENT"} {
		if got := outcomes(t, s, mails...); !slices.Equal(got, slices.Repeat([]string{want}, len(mails))) {
			t.Errorf("%v; want all %s", got, want)
		}
	}
	if sender.sent != 5 || sender.calls != 1 {
		t.Errorf("%d mails were sent in %d batches; want one of each kind, and one of each refund, in one", sender.sent, sender.calls)
	}
	for kind, want := range map[order.MailKind]string{order.MailConfirmation: "is paid", order.MailShipped: "SPW1", order.MailCancelled: "36.45 EUR", order.RefundMail(refunds[0]): "gave back 36.45 EUR"} {
		if text := sender.mails[string(o.ID)+"."+string(kind)]; !strings.Contains(text, want) || !strings.Contains(text, "ada@example.com") {
			t.Errorf("the %s lacks %q: %s", kind, want, text)
		}
	}
}

func TestService_RejectsInvalidMails(t *testing.T) {
	sender := &fakeSender{}
	s, o, refund := newService(t, sender), newPaidOrder(t), order.RefundMail(string(order.NewID(0, time.Now())))
	bad := o
	bad.ID = "../../etc/passwd"
	nowhere := newPaidOrder(t)
	nowhere.Email = "nobody"
	got := outcomes(t, s, []order.Mail{
		{Kind: order.RefundMail("../../etc"), Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}},
		{Kind: refund, Order: o},
		{Kind: order.MailRefund, Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}},
		{Kind: "newsletter", Order: o},
		{Order: o},
		{Kind: order.MailShipped, Order: bad},
		{Kind: order.MailShipped, Order: nowhere},
		{Kind: order.MailShipped, Order: o},
	}...)
	if want := append(slices.Repeat([]string{"REJECTED"}, 7), "SENT"); !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	if sender.sent != 1 {
		t.Errorf("%d mails were sent; want 1", sender.sent)
	}
}

// TestService_OneFailureDoesNotAffectTheOthers: each mail of a batch has its own outcome, and only what was sent is recorded.
func TestService_OneFailureDoesNotAffectTheOthers(t *testing.T) {
	mails := make([]order.Mail, 5)
	for i := range mails {
		mails[i] = order.Mail{Kind: order.MailConfirmation, Order: newPaidOrder(t)}
	}
	name := func(i int) string { return mails[i].ID().String() }
	sender := &fakeSender{fails: map[string]error{name(1): errors.New("greylisted"), name(2): order.ErrInvalid, name(3): order.ErrOverloaded}}
	s := newService(t, sender)
	if got, want := outcomes(t, s, mails...), []string{"SENT", "FAILED", "REJECTED", "NOT_TRIED", "SENT"}; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	sender.fails = nil
	if got, want := outcomes(t, s, mails...), []string{"ALREADY_SENT", "SENT", "SENT", "SENT", "ALREADY_SENT"}; !slices.Equal(got, want) {
		t.Errorf("again %v; want %v", got, want)
	}
}

func TestService_SameMailTwiceInABatch(t *testing.T) {
	sender, m := &fakeSender{}, order.Mail{Kind: order.MailShipped, Order: newPaidOrder(t)}
	if got := outcomes(t, newService(t, sender), m, m, m); !slices.Equal(got, []string{"SENT", "SENT", "SENT"}) || sender.sent != 1 {
		t.Errorf("%v; %d mails were sent, want 1", got, sender.sent)
	}
}

// TestService_SameMailInTwoCallsAtOnce: the mailer and the dispatcher of a process may both have a mail that the repairer made due.
func TestService_SameMailInTwoCallsAtOnce(t *testing.T) {
	sender, m := &fakeSender{}, order.Mail{Kind: order.MailConfirmation, Order: newPaidOrder(t)}
	s := newService(t, sender)
	sender.then = func() {
		sender.then = nil
		if got := outcomes(t, s, m); !slices.Equal(got, []string{"NOT_TRIED"}) {
			t.Errorf("the second call: %v", got)
		}
	}
	if got := outcomes(t, s, m); !slices.Equal(got, []string{"SENT"}) || sender.sent != 1 {
		t.Errorf("%v; %d mails were sent, want 1", got, sender.sent)
	}
	if got := outcomes(t, s, m); !slices.Equal(got, []string{"ALREADY_SENT"}) {
		t.Errorf("the third call: %v", got)
	}
}

func TestService_CallerLeavesAfterSending(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	sender := &fakeSender{then: leave}
	s, req := newService(t, sender), wire.MailsRequest([]order.Mail{{Kind: order.MailShipped, Order: newPaidOrder(t)}})
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if _, err := s.SendOrderMails(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	if sender.sent != 1 {
		t.Errorf("%d mails were sent; want 1", sender.sent)
	}
}

// brokenMails fails to read or to write which mails were sent.
type brokenMails struct {
	SentMails
	read, write error
}

func (b brokenMails) Sent(ctx context.Context, mails []order.MailID) (map[order.MailID]bool, error) {
	if b.read != nil {
		return nil, b.read
	}
	return b.SentMails.Sent(ctx, mails)
}

func (b brokenMails) MarkSent(context.Context, []order.SentMail) error { return b.write }

func TestService_SQLIsUnavailable(t *testing.T) {
	sender, down := &fakeSender{}, fmt.Errorf("SQL: %w", order.ErrUnavailable)
	s, m := newService(t, sender), order.Mail{Kind: order.MailShipped, Order: newPaidOrder(t)}
	mails := s.sent
	s.sent = brokenMails{mails, down, nil}
	if _, err := s.SendOrderMails(t.Context(), wire.MailsRequest([]order.Mail{m})); !errors.Is(err, order.ErrUnavailable) || sender.sent != 0 {
		t.Errorf("%v; %d mails were sent, want none: they might have been sent before", err, sender.sent)
	}
	s.sent = brokenMails{mails, nil, down}
	if got := outcomes(t, s, m); !slices.Equal(got, []string{"FAILED"}) || sender.sent != 1 {
		t.Errorf("%v of a mail that was sent and not recorded; %d were sent", got, sender.sent)
	}
}

func TestService_BatchSize(t *testing.T) {
	s := newService(t, &fakeSender{})
	for n, want := range map[int]error{0: order.ErrInvalid, MaxBatch: nil, MaxBatch + 1: order.ErrInvalid} {
		mails := make([]order.Mail, n)
		for i := range mails {
			mails[i] = order.Mail{Kind: order.MailShipped, Order: newPaidOrder(t)}
		}
		if _, err := s.SendOrderMails(t.Context(), wire.MailsRequest(mails)); !errors.Is(err, want) {
			t.Errorf("%d mails: %v; want %v", n, err, want)
		}
	}
}

func TestService_PermanentAndTransientFailures(t *testing.T) {
	for cause, want := range map[error]error{
		order.ErrInvalid:        order.ErrInvalid,
		order.ErrOverloaded:     order.ErrOverloaded,
		errors.New("no answer"): order.ErrUnavailable,
	} {
		s := newService(t, &fakeSender{err: cause})
		resp, err := s.SendOrderMails(t.Context(), wire.MailsRequest([]order.Mail{{Kind: order.MailShipped, Order: newPaidOrder(t)}}))
		if err != nil {
			t.Fatal(err)
		}
		got := wire.FromMailResult(resp.GetResults()[0])
		if !errors.Is(got, want) || !strings.Contains(got.Error(), cause.Error()) || breaker.IsFailure(got) != errors.Is(want, order.ErrUnavailable) {
			t.Errorf("%v became %v; want %v", cause, got, want)
		}
	}
	if err := wire.FromMailResult(&spillwayv1.SendOrderMailResult{Outcome: 99}); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("an unknown outcome: %v", err)
	}
}

// TestService_SQLCannotBeWritten: SQL is readable and not writable, as with a full disk or a server that became a replica. A mail that was sent
// is not sent again at each retry, and no other one is sent either, until it is recorded.
func TestService_SQLCannotBeWritten(t *testing.T) {
	sender := &fakeSender{}
	s, o, other := newService(t, sender), newPaidOrder(t), newPaidOrder(t)
	mails := s.sent
	s.sent = brokenMails{SentMails: mails, write: order.ErrUnavailable}
	first, second := order.Mail{Kind: order.MailConfirmation, Order: o}, order.Mail{Kind: order.MailConfirmation, Order: other}
	for range 3 {
		errs, err := s.SendMails(t.Context(), []order.Mail{first})
		if err = errors.Join(append(errs, err)...); err == nil {
			t.Error("a mail that is not recorded counts as sent")
		}
	}
	if _, err := s.SendMails(t.Context(), []order.Mail{second}); !errors.Is(err, order.ErrNotSent) {
		t.Errorf("another mail: %v; want ErrNotSent", err)
	}
	if sender.sent != 1 {
		t.Errorf("%d mails were sent; want the first, once", sender.sent)
	}
	s.sent = mails
	if got := outcomes(t, s, first, second); !slices.Equal(got, []string{"ALREADY_SENT", "SENT"}) || sender.sent != 2 {
		t.Errorf("once SQL can be written: %v, %d mails were sent", got, sender.sent)
	}
}
