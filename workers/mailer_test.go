package workers_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// fakeCountingMailClient counts what is sent, and fails for the orders in its list.
type fakeCountingMailClient struct {
	mu       sync.Mutex
	fails    map[order.ID]error
	attempts map[order.ID]int
	calls    int
	last     order.Order
	// within is the time that the last call had.
	within time.Duration
}

func (m *fakeCountingMailClient) Send(ctx context.Context, mails []order.Mail) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attempts == nil {
		m.attempts = make(map[order.ID]int)
	}
	m.calls++
	if deadline, ok := ctx.Deadline(); ok {
		m.within = time.Until(deadline)
	}
	errs := make([]error, len(mails))
	for i, sent := range mails {
		m.attempts[sent.Order.ID]++
		m.last = sent.Order
		errs[i] = m.fails[sent.Order.ID]
	}
	return errs
}

// fakeOutbox records the confirmations that are added to it, and fails if err is set.
type fakeOutbox struct {
	ids []order.ID
	err error
}

func (f *fakeOutbox) AddAllDue(_ context.Context, kind order.MailKind, ids []order.ID) error {
	if f.err != nil {
		return f.err
	}
	if kind != order.MailConfirmation {
		return order.ErrInvalid
	}
	f.ids = append(f.ids, ids...)
	return nil
}

func newMailer(in queue.Consumer, dead workers.DeadLetters, m workers.MailClient) *workers.Mailer {
	return newMailerWithOutbox(in, &fakeOutbox{}, dead, m)
}

func newMailerWithOutbox(in queue.Consumer, out workers.MailOutbox, dead workers.DeadLetters, m workers.MailClient) *workers.Mailer {
	return workers.NewMailer(workers.DefaultMailConfig(), in, out, dead, m, quiet)
}

// TestMailer_OneConfirmationABatch: two messages of one iteration have the same payment, and events that cause no mail.
func TestMailer_OneConfirmationABatch(t *testing.T) {
	o, m := freshOrder(), &fakeCountingMailClient{}
	declined := event(freshOrder(), released)
	wire.SetReason(declined, order.CancelledAsDeclined("lost_card"))
	in := newFakeConsumer(body(event(o, reserved), event(o, settled), event(freshOrder(), reserved)), body(event(o, settled), declined))
	mustRun(t, newMailer(in, &fakeDeadLetters{}, m).RunOnce, 2)
	if len(m.attempts) != 1 || m.attempts[o.ID] != 1 || in.left() != 0 {
		t.Errorf("sent %v, %d messages left; want one mail to one order", m.attempts, in.left())
	}
	if m.last.State != order.Paid || m.last.Email != o.Email || m.last.Total != o.Total || len(m.last.Lines) != 2 {
		t.Errorf("the mail is about %+v", m.last)
	}
}

// TestMailer_OneCallAnIteration: all mails of an iteration go out in one call, within the lease.
func TestMailer_OneCallAnIteration(t *testing.T) {
	m := &fakeCountingMailClient{}
	in := newFakeConsumer(settledBody(someOrders(25)...), settledBody(someOrders(25)...))
	mustRun(t, newMailer(in, &fakeDeadLetters{}, m).RunOnce, 50)
	if lease := workers.DefaultMailConfig().Lease; m.calls != 1 || m.within <= 0 || m.within >= lease {
		t.Errorf("%d calls with %s for the mails; want one within %s", m.calls, m.within, lease)
	}
}

// TestMailer_MailThatWasNotSent: the outbox has it, whatever the reason, and its message is acknowledged with the first delivery.
func TestMailer_MailThatWasNotSent(t *testing.T) {
	for _, reason := range []error{errDown, order.ErrOverloaded, order.ErrNotSent, context.Canceled} {
		bad, good, dead, out := freshOrder(), freshOrder(), &fakeDeadLetters{}, &fakeOutbox{}
		in, m := newFakeConsumer(settledBody(bad, good)), &fakeCountingMailClient{fails: map[order.ID]error{bad.ID: reason}}
		mustRun(t, newMailerWithOutbox(in, out, dead, m).RunOnce, 2)
		if !slices.Equal(out.ids, []order.ID{bad.ID}) || len(dead.messages) != 0 || in.left() != 0 {
			t.Errorf("%v: outbox %v, letters %v, %d messages left; want the mail in the outbox", reason, out.ids, dead.messages, in.left())
		}
	}
}

// TestMailer_OutboxFails: the message is delivered again, and never becomes a dead letter.
func TestMailer_OutboxFails(t *testing.T) {
	o, dead, out := freshOrder(), &fakeDeadLetters{}, &fakeOutbox{err: errDown}
	in, m := newFakeConsumer(settledBody(o)), &fakeCountingMailClient{fails: map[order.ID]error{o.ID: errDown}}
	s := newMailerWithOutbox(in, out, dead, m)
	for range 20 {
		mustFail(t, s.RunOnce, errDown)
	}
	out.err = nil
	mustRun(t, s.RunOnce, 1)
	if len(out.ids) != 1 || len(dead.messages) != 0 || in.left() != 0 {
		t.Errorf("outbox %v, letters %v, %d messages left", out.ids, dead.messages, in.left())
	}
}

// fakeStoppingMailClient stops the worker during the call, which then fails.
type fakeStoppingMailClient struct{ stop context.CancelFunc }

func (m fakeStoppingMailClient) Send(ctx context.Context, mails []order.Mail) []error {
	m.stop()
	errs := make([]error, len(mails))
	for i := range errs[1:] { // The last one is sent.
		errs[i] = ctx.Err()
	}
	return errs
}

// TestMailer_Stopped: the outcome of mails is written although the worker is stopped.
func TestMailer_Stopped(t *testing.T) {
	left, sent, dead, out := freshOrder(), freshOrder(), &fakeDeadLetters{}, &fakeOutbox{}
	in := newFakeConsumer(settledBody(left, sent))
	ctx, stop := context.WithCancel(t.Context())
	if _, err := newMailerWithOutbox(in, out, dead, fakeStoppingMailClient{stop}).RunOnce(ctx); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.ids, []order.ID{left.ID}) || len(dead.messages) != 0 || in.left() != 0 {
		t.Errorf("outbox %v, letters %v, %d messages left", out.ids, dead.messages, in.left())
	}
}

// TestMailer_AtMostOneTurnAnIteration: the messages that are too many for one iteration are sent by the next ones, with one delivery each.
func TestMailer_AtMostOneTurnAnIteration(t *testing.T) {
	in, m := newFakeConsumer(), &fakeCountingMailClient{}
	s := newMailer(in, &fakeDeadLetters{}, m)
	for range 5 {
		in.put(settledBody(someOrders(200)...))
	}
	mustRun(t, s.RunOnce, 400)
	mustRun(t, s.RunOnce, 400)
	if in.left() != 1 || in.queue[0].Attempt != 1 {
		t.Errorf("left are %d messages; want one with one delivery", in.left())
	}
	mustRun(t, s.RunOnce, 200)
	in.put(settledBody(someOrders(700)...)) // One message is never too many.
	mustRun(t, s.RunOnce, 700)
	if in.left() != 0 || len(m.attempts) != 1700 {
		t.Errorf("%d messages are left, %d orders have a mail", in.left(), len(m.attempts))
	}
}

// TestMailer_HeldMessagesWhoseLeaseIsHalfOver: they are not used any more, but delivered again.
func TestMailer_HeldMessagesWhoseLeaseIsHalfOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, m := newFakeConsumer(settledBody(someOrders(300)...), settledBody(someOrders(300)...)), &fakeCountingMailClient{}
		s := newMailer(in, &fakeDeadLetters{}, m)
		mustRun(t, s.RunOnce, 300)
		<-time.After(workers.DefaultMailConfig().Lease / 2)
		mustRun(t, s.RunOnce, 300)
		if m.within <= workers.DefaultMailConfig().Lease/2 || in.left() != 0 {
			t.Errorf("the mails had %s of a lease, %d messages are left; want those of a new delivery", m.within, in.left())
		}
	})
}

// TestMailer_PoisonMailIsADeadLetterAlone: the other mails of its message are sent once, and the message is acknowledged.
func TestMailer_PoisonMailIsADeadLetterAlone(t *testing.T) {
	all, dead := someOrders(120), &fakeDeadLetters{}
	poison := all[70]
	in, m := newFakeConsumer(settledBody(all...)), &fakeCountingMailClient{fails: map[order.ID]error{poison.ID: order.ErrInvalid}}
	if _, err := newMailer(in, dead, m).RunOnce(t.Context()); err != nil || in.left() != 0 {
		t.Fatalf("got %v; %d messages are left", err, in.left())
	}
	if len(dead.messages) != 1 || dead.messages[0].OrderID != string(poison.ID) || len(m.attempts) != len(all) || m.attempts[all[0].ID] != 1 {
		t.Errorf("letters %v; %d orders have a mail", dead.messages, len(m.attempts))
	}
}

// TestMailer_DeadLetterOfARefusedMail: it has the mail, and its message stays while the dead letter cannot be written.
func TestMailer_DeadLetterOfARefusedMail(t *testing.T) {
	bad, good, dead := freshOrder(), freshOrder(), &fakeDeadLetters{err: errDown}
	in, m := newFakeConsumer(settledBody(bad, good)), &fakeCountingMailClient{fails: map[order.ID]error{bad.ID: order.ErrInvalid}}
	s := newMailer(in, dead, m)
	mustFail(t, s.RunOnce, errDown)
	if in.left() != 1 {
		t.Fatal("the message is gone although its letter was not written")
	}
	dead.err = nil
	mustRun(t, s.RunOnce, 2)
	if len(dead.messages) != 1 || in.left() != 0 {
		t.Fatalf("letters = %v, %d messages left; want one letter", dead.messages, in.left())
	}
	f := dead.messages[0]
	paid := bad
	paid.State, paid.UpdatedAt = order.Paid, event(bad, settled).GetTime().AsTime()
	if f.DedupKey != "mailer/order/"+string(bad.ID) || f.Source != "mailer" || f.OrderID != string(bad.ID) || f.Reason != order.ErrInvalid.Error() ||
		f.Attempts != 1 || f.PayloadType != wire.TypeMail || !bytes.Equal(f.Payload, raw(t, &spillwayv1.SendOrderMailRequest{Kind: spillwayv1.MailKind_MAIL_KIND_CONFIRMATION, Order: wire.Order(paid)})) {
		t.Errorf("the dead letter is %+v", f)
	}
}

func TestMailer_PoisonMessage(t *testing.T) {
	o, m, dead := freshOrder(), &fakeCountingMailClient{}, &fakeDeadLetters{}
	in := newFakeConsumer([]byte("\xff"), settledBody(o))
	mustRun(t, newMailer(in, dead, m).RunOnce, 2)
	if m.attempts[o.ID] != 1 || len(dead.messages) != 1 || dead.messages[0].DedupKey != "mailer/message/m1" || in.left() != 0 {
		t.Errorf("sent %v, letters %v, %d messages left", m.attempts, dead.messages, in.left())
	}
}

func TestMailer_SentButNotAcknowledged(t *testing.T) {
	o, m := freshOrder(), &fakeCountingMailClient{}
	in := newFakeConsumer(settledBody(o))
	in.ackErr = faults([]bool{true})
	s := newMailer(in, &fakeDeadLetters{}, m)
	if _, err := s.RunOnce(t.Context()); err == nil {
		t.Error("the iteration did not fail although nothing was acknowledged")
	}
	mustRun(t, s.RunOnce, 1)
	if !slices.Equal([]int{m.attempts[o.ID], in.left()}, []int{2, 0}) {
		t.Errorf("%d tries, %d messages left; want 2 and none", m.attempts[o.ID], in.left())
	}
}

// TestMailer_UnpaidOrderCausesNoMail: anyone may place an order under the address of a victim, with text of their own, and let it expire.
func TestMailer_UnpaidOrderCausesNoMail(t *testing.T) {
	m := &fakeCountingMailClient{}
	var messages [][]byte
	for _, reason := range []string{"expired", "by the customer: look at https://example.com", "payment_unknown", "payment_voided", "by an operator"} {
		o := freshOrder()
		cancelled := event(o, released)
		cancelled.Detail = reason
		messages = append(messages, body(event(o, reserved), cancelled))
	}
	in := newFakeConsumer(messages...)
	for in.left() > 0 {
		mustRun(t, newMailer(in, &fakeDeadLetters{}, m).RunOnce, len(messages))
	}
	if len(m.attempts) != 0 {
		t.Errorf("sent %v; want none", m.attempts)
	}
}
