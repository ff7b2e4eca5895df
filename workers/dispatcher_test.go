package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// fakeMailClient records what is sent, as "KIND ID REFUND", and fails if err is set.
type fakeMailClient struct {
	mu    sync.Mutex
	sent  []string
	calls int
	err   error
	// delay is how long a call takes.
	delay time.Duration
}

func (p *fakeMailClient) put(kind order.MailKind, o order.Order, refund string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	p.sent = append(p.sent, strings.TrimSpace(string(kind)+" "+string(o.ID)+" "+refund))
	return nil
}

func (p *fakeMailClient) Send(_ context.Context, mails []order.Mail) []error {
	p.calls++
	<-time.After(p.delay)
	errs := make([]error, len(mails))
	for i, m := range mails {
		refund := ""
		if m.Refund.Amount != 0 {
			refund = m.Refund.String()
		}
		errs[i] = p.put(m.Kind, m.Order, refund)
	}
	return errs
}

var errMailDown = errors.New("the mail server is down")

// brisk makes a dispatcher with backoffs of a nanosecond.
func brisk(db *store.DB, p *fakeMailClient) *workers.MailDispatcher {
	cfg := workers.DefaultDispatchConfig()
	cfg.MaxAttempts, cfg.MinBackoff, cfg.MaxBackoff = 3, 0, 0
	return workers.NewMailDispatcher(cfg, store.NewMails(db), store.NewOrders(db), p, noLog)
}

func mustAddDue(t *testing.T, db *store.DB, id order.ID, kind order.MailKind) {
	t.Helper()
	if err := store.NewMails(db).AddDue(t.Context(), id, kind); err != nil {
		t.Fatal(err)
	}
}

func TestMailDispatcher_DueMailIsSent(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		all := paidOrders(t, store.NewOrders(db), 2)
		mustAddDue(t, db, all[0].ID, order.MailShipped)
		mustAddDue(t, db, all[1].ID, order.MailCancelled)
		p := &fakeMailClient{}
		d := brisk(db, p)
		ranTo(t, d.RunOnce, 2)
		ranTo(t, d.RunOnce, 0)
		slices.Sort(p.sent)
		if want := []string{"cancelled " + string(all[1].ID), "shipped " + string(all[0].ID)}; !slices.Equal(p.sent, want) {
			t.Errorf("sent %q; want %q", p.sent, want)
		}
	})
}

// TestMailDispatcher_Refunds: each refund of an order has its own mail, with its own amount, beside that of the order's cancellation.
func TestMailDispatcher_Refunds(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		o := paidOrders(t, store.NewOrders(db), 1)[0]
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		total := order.Money{Currency: o.Currency, Amount: o.Total}
		if _, err := ledger.Record(t.Context(), order.Charge{OrderID: o.ID, ChargeID: string(order.NewID(0, at)), State: order.ChargeSucceeded, Amount: total}); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i, key := range []string{"r1", "r2"} {
			amount := order.Money{Currency: o.Currency, Amount: order.Cents(i + 1)}
			refund, err := ledger.RefundOrder(
				t.Context(),
				store.RefundRequest{OrderID: o.ID, RefundID: string(order.NewID(0, at)), Amount: amount, Reason: "r", Key: key},
			)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := ledger.ConfirmRefund(t.Context(), refund); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, "refund"+refund.RefundID+" "+string(o.ID)+" "+amount.String())
		}
		p := &fakeMailClient{err: order.ErrInvalid}
		mustAddDue(t, db, o.ID, order.MailCancelled)
		want = append(want, "cancelled "+string(o.ID))
		p.err = nil
		d := brisk(db, p)
		ranTo(t, d.RunOnce, 3)
		ranTo(t, d.RunOnce, 0)
		slices.Sort(p.sent)
		slices.Sort(want)
		if !slices.Equal(p.sent, want) {
			t.Errorf("sent %q; want %q", p.sent, want)
		}
	})
}

// TestMailDispatcher_RefundBecomesADeadLetter: it carries the refund, so that it can be replayed.
func TestMailDispatcher_RefundBecomesADeadLetter(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		o := paidOrders(t, store.NewOrders(db), 1)[0]
		kind := order.RefundMail(string(order.NewID(0, at)))
		mustAddDue(t, db, o.ID, kind)
		ranTo(t, brisk(db, &fakeMailClient{err: order.ErrInvalid}).RunOnce, 0)
		wantDead(t, db, o, kind, 1)
	})
}

func TestMailDispatcher_FailingMailBecomesADeadLetter(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		all := paidOrders(t, store.NewOrders(db), 2)
		mustAddDue(t, db, all[0].ID, order.MailShipped)
		p := &fakeMailClient{err: errMailDown}
		d := brisk(db, p)
		ranTo(t, d.RunOnce, 0)
		p.err = nil
		ranTo(t, d.RunOnce, 1)
		p.err = errMailDown
		mustAddDue(t, db, all[1].ID, order.MailShipped)
		for range 4 {
			ranTo(t, d.RunOnce, 0)
		}
		wantDead(t, db, all[1], order.MailShipped, 3)
		p.err = nil
		ranTo(t, d.RunOnce, 0)
	})
}

func TestMailDispatcher_InvalidMailIsADeadLetterAtOnce(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		o := paidOrders(t, store.NewOrders(db), 1)[0]
		mustAddDue(t, db, o.ID, order.MailCancelled)
		ranTo(t, brisk(db, &fakeMailClient{err: order.ErrInvalid}).RunOnce, 0)
		wantDead(t, db, o, order.MailCancelled, 1)
	})
}

func wantDead(t *testing.T, db *store.DB, o order.Order, kind order.MailKind, attempts int) {
	t.Helper()
	letters, err := store.NewDeadLetters(db).List(t.Context(), store.DeadLetterFilter{}, 0, 10)
	if err != nil || len(letters) != 1 {
		t.Fatalf("letters: %+v, %v; want one", letters, err)
	}
	f := letters[0]
	if f.DedupKey != "mailer/order/"+string(o.ID)+"/"+string(kind) || f.Source != "mailer" || f.OrderID != string(o.ID) || f.Attempts != attempts {
		t.Errorf("the dead letter is %+v", f)
	}
	f, err = store.NewDeadLetters(db).Get(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.PayloadJSON(f.PayloadType, f.Payload); err != nil || !strings.Contains(string(got), string(o.ID)) ||
		!strings.Contains(string(got), o.Email) {
		t.Errorf("its payload is %s, %v", got, err)
	}
}

func TestMailDispatcher_WaitsForTheOrdersRow(t *testing.T) {
	db := shopDB(t, "sqlite:"+t.TempDir()+"/test.db")
	o := paidOrders(t, nil, 1)[0]
	mustAddDue(t, db, o.ID, order.MailCancelled)
	p := &fakeMailClient{}
	d := brisk(db, p)
	ranTo(t, d.RunOnce, 0)
	if _, err := store.NewOrders(db).Apply(t.Context(), []order.Event{{Order: o, To: order.Cancelled, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	ranTo(t, d.RunOnce, 1)
	if len(p.sent) != 1 {
		t.Errorf("sent %q", p.sent)
	}
}

// fakeDueMails records until when mails are postponed.
type fakeDueMails struct {
	workers.DueMails
	attempts int
	until    []time.Time
}

func (f *fakeDueMails) LeaseDue(context.Context, int, time.Duration) ([]store.DueMail, error) {
	f.attempts++
	return []store.DueMail{{ID: 1, OrderID: "O", Kind: order.MailShipped, Attempts: f.attempts}}, nil
}

func (f *fakeDueMails) DropDue(context.Context, []int64) error { return nil }

func (f *fakeDueMails) PostponeDue(_ context.Context, _ []int64, until time.Time) error {
	f.until = append(f.until, until)
	return nil
}

func (f *fakeDueMails) ReturnDue(_ context.Context, _ []int64, until time.Time) error {
	f.attempts-- // The lease is no attempt.
	f.until = append(f.until, until)
	return nil
}

func (*fakeDueMails) ForMails(context.Context, []order.ID) (map[order.ID]order.Order, error) {
	return map[order.ID]order.Order{"O": {ID: "O"}}, nil
}

func TestMailDispatcher_BackoffGrows(t *testing.T) {
	f, cfg := &fakeDueMails{}, workers.DefaultDispatchConfig()
	d := workers.NewMailDispatcher(cfg, f, f, &fakeMailClient{err: errMailDown}, noLog)
	for n := 1; n < cfg.MaxAttempts; n++ {
		before := time.Now()
		ranTo(t, d.RunOnce, 0)
		want := min(cfg.MinBackoff<<(n-1), cfg.MaxBackoff)
		if got := f.until[n-1].Sub(before); got < want || got > want+10*time.Second {
			t.Errorf("the pause after attempt %d is %s; want %s", n, got, want)
		}
	}
}

// TestMailDispatcher_MailThatWasNotTried: it is due again soon, however often, and that counts as no attempt.
func TestMailDispatcher_MailThatWasNotTried(t *testing.T) {
	for _, reason := range []error{order.ErrOverloaded, order.ErrNotSent, breaker.ErrCallerLeft} {
		f, cfg := &fakeDueMails{}, workers.DefaultDispatchConfig()
		d := workers.NewMailDispatcher(cfg, f, f, &fakeMailClient{err: reason}, noLog)
		for n := range 2 * cfg.MaxAttempts {
			before := time.Now()
			ranTo(t, d.RunOnce, 0)
			if got := f.until[n].Sub(before); got < cfg.MinBackoff || got > cfg.MinBackoff+10*time.Second {
				t.Errorf("%v: the pause after attempt %d is %s; want %s", reason, n+1, got, cfg.MinBackoff)
			}
		}
		if f.attempts != 0 {
			t.Errorf("%v: %d attempts are counted", reason, f.attempts)
		}
	}
}

// TestMailDispatcher_Stopped: a mail that failed because the worker is stopped is due again at once, and that counts as no attempt. One that was
// sent is no longer due.
func TestMailDispatcher_Stopped(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		all, mails := paidOrders(t, store.NewOrders(db), 2), store.NewMails(db)
		for _, o := range all {
			mustAddDue(t, db, o.ID, order.MailShipped)
		}
		ctx, stop := context.WithCancel(t.Context())
		cfg := workers.DefaultDispatchConfig()
		cfg.MaxAttempts = 1
		d := workers.NewMailDispatcher(cfg, mails, store.NewOrders(db), fakeStoppingMailClient{stop}, noLog)
		if n, err := d.RunOnce(ctx); n != 1 || err != nil {
			t.Errorf("the iteration returned %d, %v; want 1", n, err)
		}
		due, err := mails.LeaseDue(t.Context(), 10, time.Minute)
		if err != nil || len(due) != 1 || due[0].Attempts != 1 {
			t.Errorf("due are %+v, %v; want one with its first attempt", due, err)
		}
		letters, err := store.NewDeadLetters(db).List(t.Context(), store.DeadLetterFilter{}, 0, 10)
		if err != nil || len(letters) != 0 {
			t.Errorf("letters %+v, %v", letters, err)
		}
	})
}

// fakeOrderedDueMails records the calls that write an outcome, and fails from the one at which the process crashes.
type fakeOrderedDueMails struct {
	*fakeDueMails
	calls []string
}

func (*fakeOrderedDueMails) LeaseDue(context.Context, int, time.Duration) ([]store.DueMail, error) {
	var due []store.DueMail
	for i, id := range []order.ID{"bad", "sent", "worse", "late"} {
		due = append(due, store.DueMail{ID: int64(i), OrderID: id, Kind: order.MailShipped, Attempts: 1})
	}
	return due, nil
}

func (*fakeOrderedDueMails) ForMails(context.Context, []order.ID) (map[order.ID]order.Order, error) {
	return map[order.ID]order.Order{"bad": {ID: "bad"}, "sent": {ID: "sent"}, "worse": {ID: "worse"}, "late": {ID: "late"}}, nil
}

func (f *fakeOrderedDueMails) DropDue(_ context.Context, ids []int64) error {
	f.calls = append(f.calls, fmt.Sprint("drop ", ids))
	return nil
}

func (f *fakeOrderedDueMails) DeadLetterDue(_ context.Context, mails []store.DeadMail) error {
	f.calls = append(f.calls, fmt.Sprint("dead-letter ", len(mails)))
	return nil
}

func (f *fakeOrderedDueMails) PostponeDue(_ context.Context, ids []int64, _ time.Time) error {
	f.calls = append(f.calls, fmt.Sprint("postpone ", ids))
	return nil
}

// fakeSortingMailClient refuses the mails of some orders, and fails with that of another.
type fakeSortingMailClient struct{}

func (fakeSortingMailClient) Send(_ context.Context, mails []order.Mail) []error {
	errs := make([]error, len(mails))
	for i, m := range mails {
		errs[i] = map[order.ID]error{"bad": order.ErrInvalid, "worse": order.ErrInvalid, "late": errMailDown}[m.Order.ID]
	}
	return errs
}

// TestMailDispatcher_OneTransactionForAllDeadLetters: the mails that were sent come first.
func TestMailDispatcher_OneTransactionForAllDeadLetters(t *testing.T) {
	f := &fakeOrderedDueMails{fakeDueMails: &fakeDueMails{}}
	ranTo(t, workers.NewMailDispatcher(workers.DefaultDispatchConfig(), f, f, fakeSortingMailClient{}, noLog).RunOnce, 1)
	if want := []string{"drop [1]", "dead-letter 2", "postpone [3]"}; !slices.Equal(f.calls, want) {
		t.Errorf("the outcome was written by %q; want %q", f.calls, want)
	}
}

// TestMailDispatcher_Batch: many mails take one call and a few statements. Those that fail do not affect the others.
func TestMailDispatcher_Batch(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		all := paidOrders(t, store.NewOrders(db), 120)
		ids := make([]order.ID, len(all))
		for i, o := range all {
			ids[i] = o.ID
		}
		if err := store.NewMails(db).AddAllDue(t.Context(), order.MailShipped, ids); err != nil {
			t.Fatal(err)
		}
		missing := order.NewID(0, at) // It has no row.
		mustAddDue(t, db, missing, order.MailShipped)
		p := &fakeMailClient{}
		d := brisk(db, p)
		ranTo(t, d.RunOnce, 120)
		if p.calls != 1 || len(p.sent) != 120 {
			t.Errorf("%d mails in %d calls", len(p.sent), p.calls)
		}
		for range 2 {
			ranTo(t, d.RunOnce, 0)
		}
		letters, err := store.NewDeadLetters(db).List(t.Context(), store.DeadLetterFilter{}, 0, 10)
		if err != nil || len(letters) != 1 || letters[0].OrderID != string(missing) {
			t.Errorf("letters %+v, %v; want that of the order without a row", letters, err)
		}
		if n, err := store.NewMails(db).CountDue(t.Context(), 10); err != nil || n != 0 {
			t.Errorf("%d mails are due, %v", n, err)
		}
	})
}

func TestMailer_OnlyPaidOrdersAreConfirmed(t *testing.T) {
	all := paidOrders(t, nil, 5)
	const released = spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED
	in := newFakeRedeliveringConsumer(
		settledOf(t, all[0]),
		eventsOf(t, released, "card_declined: lost_card", all[1]),
		eventsOf(t, released, "duplicate of "+string(all[0].ID), all[2]),
		eventsOf(t, released, "not paid in time", all[3], all[3]),
		eventsOf(t, spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED, "", all[4]),
	)
	p := &fakeMailClient{}
	ranTo(t, workers.NewMailer(workers.DefaultMailConfig(), in, &fakeOutbox{}, stubNoDeadLetters{t}, p, noLog).RunOnce, 5)
	if want := []string{"confirmation " + string(all[0].ID)}; !slices.Equal(p.sent, want) || len(in.messages) != 0 {
		t.Errorf("sent %q, %d messages left; want %q", p.sent, len(in.messages), want)
	}
}
