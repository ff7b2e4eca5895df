package workers_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
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

func newMailer(in queue.Consumer, dead workers.DeadLetters, m workers.MailClient) *workers.Mailer {
	return workers.NewMailer(workers.DefaultMailConfig(), in, dead, m, quiet)
}

// TestMailer_OneConfirmationABatch: two messages of one iteration have the same payment, and events that cause no mail.
func TestMailer_OneConfirmationABatch(t *testing.T) {
	o, m := freshOrder(), &fakeCountingMailClient{}
	declined := event(freshOrder(), released)
	wire.SetReason(declined, order.CancelledAsDeclined("lost_card"))
	in := newFakeConsumer(body(event(o, reserved), event(o, settled), event(freshOrder(), reserved)), body(event(o, settled), declined))
	mustRun(t, newMailer(in, &fakeDeadLetters{}, m).RunOnce, 1)
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

// TestMailer_MailThatWasNotTried: the service had no time for it. It is delivered again, however often, and is no dead letter.
func TestMailer_MailThatWasNotTried(t *testing.T) {
	o, dead := freshOrder(), &fakeDeadLetters{}
	in, m := newFakeConsumer(settledBody(o)), &fakeCountingMailClient{fails: map[order.ID]error{o.ID: order.ErrOverloaded}}
	s := newMailer(in, dead, m)
	for range 2 * workers.DefaultMailConfig().MaxDeliveries {
		if _, err := s.RunOnce(t.Context()); err == nil || in.left() != 1 {
			t.Fatalf("got %v; %d messages are left", err, in.left())
		}
	}
	m.fails = nil
	mustRun(t, s.RunOnce, 1)
	if len(dead.messages) != 0 || in.left() != 0 {
		t.Errorf("letters %v, %d messages left; want none", dead.messages, in.left())
	}
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

func TestMailer_FailingMailIsRetried(t *testing.T) {
	o, dead := freshOrder(), &fakeDeadLetters{}
	in, m := newFakeConsumer(settledBody(o)), &fakeCountingMailClient{fails: map[order.ID]error{o.ID: errDown}}
	s := newMailer(in, dead, m)
	for range 2 {
		if n, err := s.RunOnce(t.Context()); err == nil || n != 0 || in.left() != 1 {
			t.Fatalf("a iteration whose mail failed returned %d, %v; %d messages are left", n, err, in.left())
		}
	}
	m.fails = nil
	mustRun(t, s.RunOnce, 1)
	if m.attempts[o.ID] != 3 || len(dead.messages) != 0 || in.left() != 0 {
		t.Errorf("%d tries, letters %v, %d messages left; want 3, none, none", m.attempts[o.ID], dead.messages, in.left())
	}
}

func TestMailer_DeadLetterAfterFiveAttempts(t *testing.T) {
	bad, good, dead := freshOrder(), freshOrder(), &fakeDeadLetters{err: errDown}
	in, m := newFakeConsumer(settledBody(bad, good)), &fakeCountingMailClient{fails: map[order.ID]error{bad.ID: errDown}}
	s := newMailer(in, dead, m)
	for range workers.DefaultMailConfig().MaxDeliveries - 1 {
		if _, err := s.RunOnce(t.Context()); err == nil || len(dead.messages) != 0 {
			t.Fatalf("a iteration whose mail failed returned %v; letters %v", err, dead.messages)
		}
	}
	mustFail(t, s.RunOnce, errDown) // failed_orders is down.
	if in.left() != 1 {
		t.Fatal("the message is gone although its letter was not written")
	}
	dead.err = nil
	if _, err := s.RunOnce(t.Context()); err != nil || in.left() != 0 {
		t.Errorf("the last iteration: %v, %d messages left", err, in.left())
	}
	if len(dead.messages) != 1 {
		t.Fatalf("letters = %v; want one", dead.messages)
	}
	f := dead.messages[0]
	paid := bad
	paid.State, paid.UpdatedAt = order.Paid, event(bad, settled).GetTime().AsTime()
	if f.DedupKey != "mailer/order/"+string(bad.ID) || f.Source != "mailer" || f.OrderID != string(bad.ID) || f.Reason != errDown.Error() ||
		f.Attempts != 6 || f.PayloadType != wire.TypeMail || !bytes.Equal(f.Payload, raw(t, &spillwayv1.SendOrderMailRequest{Kind: spillwayv1.MailKind_MAIL_KIND_CONFIRMATION, Order: wire.Order(paid)})) {
		t.Errorf("the dead letter is %+v", f)
	}
}

func TestMailer_PoisonMessage(t *testing.T) {
	o, m, dead := freshOrder(), &fakeCountingMailClient{}, &fakeDeadLetters{}
	in := newFakeConsumer([]byte("\xff"), settledBody(o))
	mustRun(t, newMailer(in, dead, m).RunOnce, 1)
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

// TestMailer_AttemptsAreCountedPerMail: attempts are counted per message.
func TestMailer_AttemptsAreCountedPerMail(t *testing.T) {
	old, fresh, good, dead := freshOrder(), freshOrder(), freshOrder(), &fakeDeadLetters{}
	in, m := newFakeConsumer(settledBody(old)), &fakeCountingMailClient{fails: map[order.ID]error{old.ID: errDown, fresh.ID: errDown}}
	s := newMailer(in, dead, m)
	for range 4 {
		_, _ = s.RunOnce(t.Context())
	}
	in.put(settledBody(fresh), settledBody(good))
	_, _ = s.RunOnce(t.Context())
	if len(dead.messages) != 1 || dead.messages[0].OrderID != string(old.ID) || in.left() != 1 {
		t.Errorf("letters %v, %d messages left; want that of the old one, and the fresh one left", dead.messages, in.left())
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
		mustRun(t, newMailer(in, &fakeDeadLetters{}, m).RunOnce, 0)
	}
	if len(m.attempts) != 0 {
		t.Errorf("sent %v; want none", m.attempts)
	}
}
