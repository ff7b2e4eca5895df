package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// fakeOnceConsumer is a consumer that delivers its messages once.
type fakeOnceConsumer struct {
	messages []queue.Message
	acked    []string
}

func (i *fakeOnceConsumer) Receive(context.Context, int, time.Duration) ([]queue.Message, error) {
	out := i.messages
	i.messages = nil
	return out, nil
}

func (i *fakeOnceConsumer) Ack(_ context.Context, messages ...queue.Message) error {
	for _, m := range messages {
		i.acked = append(i.acked, m.ID)
	}
	return nil
}

func (i *fakeOnceConsumer) Release(context.Context, ...queue.Message) error { return nil }
func (i *fakeOnceConsumer) Close(context.Context) error                     { return nil }

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// poisoned are three messages: one that cannot be read, and two in which one event of two cannot be read or written.
func poisoned(t *testing.T, good ...order.Order) *fakeOnceConsumer {
	t.Helper()
	unreadable := step(t, someOrder(t, "unreadable"), order.Paid)
	unreadable.Snapshot, unreadable.Traceparent = []byte{0xff}, traceparent
	badRow := someOrder(t, "bad row")
	badRow.Total++ // SQL checks the sum.
	refused := step(t, badRow, order.Paid)
	refused.Traceparent = traceparent
	return &fakeOnceConsumer{messages: []queue.Message{
		{ID: "m1", Body: []byte("garbage"), Attempt: 2, Headers: map[string]string{"traceparent": traceparent}},
		{ID: "m2", Body: raw(t, batch(unreadable, step(t, good[0], order.Paid))), Attempt: 1},
		{ID: "m3", Body: raw(t, batch(refused, step(t, good[1], order.Paid))), Attempt: 1},
		{ID: "m4", Body: []byte{8, 1}, Attempt: 1, Headers: map[string]string{"traceparent": traceparent}}, // It reads as a message without events.
	}}
}

// TestOrderWriter_PoisonEvent: the others are written, and it is in failed_orders with all that an operator needs (I10).
func TestOrderWriter_PoisonEvent(t *testing.T) {
	a, good1, good2 := newReplayer(t), someOrder(t, "1"), someOrder(t, "2")
	in := poisoned(t, good1, good2)
	w := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, a.orders, a.dead, a, a, slog.New(slog.DiscardHandler))
	if _, err := w.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range []order.Order{good1, good2} {
		if got, err := a.orders.Get(t.Context(), o.ID); err != nil || got.State != order.Paid {
			t.Errorf("order %s is %v, %v", o.ID, got.State, err)
		}
	}
	if !slices.Equal(in.acked, []string{"m1", "m2", "m3", "m4"}) {
		t.Errorf("acknowledged: %v", in.acked)
	}
	letters, err := a.dead.List(t.Context(), store.DeadLetterFilter{Status: store.DeadLetterOpen, Source: "order_writer"}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	for _, l := range letters {
		types[l.PayloadType]++
		if l.TraceID != traceID || l.Reason == "" || (l.OrderID == "") != (l.PayloadType == wire.TypeBatch) {
			t.Errorf("a dead letter is %+v", l)
		}
		if f, err := a.dead.Get(t.Context(), l.ID); err != nil || len(f.Payload) == 0 {
			t.Errorf("its payload is %q, %v", f.Payload, err)
		}
	}
	if types[wire.TypeBatch] != 2 || types[wire.TypeEvent] != 2 || len(letters) != 4 {
		t.Errorf("the dead letters are %v", types)
	}
}

// stubFullDeadLetters is a dead-letter store that fails each write.
type stubFullDeadLetters struct{}

func (stubFullDeadLetters) Put(context.Context, ...store.DeadLetter) error {
	return order.ErrUnavailable
}

// TestOrderWriter_UnwrittenDeadLetterIsNotAcknowledged: while failed_orders cannot be written, poison is delivered again (I10).
func TestOrderWriter_UnwrittenDeadLetterIsNotAcknowledged(t *testing.T) {
	a, quiet := newReplayer(t), slog.New(slog.DiscardHandler)
	in := poisoned(t, someOrder(t, "1"), someOrder(t, "2"))
	w := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, a.orders, stubFullDeadLetters{}, a, a, quiet)
	if _, err := w.RunOnce(t.Context()); !errors.Is(err, order.ErrUnavailable) || len(in.acked) > 0 {
		t.Errorf("the writer acknowledged %v, %v", in.acked, err)
	}
	in = poisoned(t, someOrder(t, "3"), someOrder(t, "4"))
	d := workers.NewDeadLetterDrain(workers.DefaultDrainConfig("mail"), in, stubFullDeadLetters{}, quiet)
	if _, err := d.RunOnce(t.Context()); !errors.Is(err, order.ErrUnavailable) || len(in.acked) > 0 {
		t.Errorf("the drain acknowledged %v, %v", in.acked, err)
	}
}

// TestDeadLetterDrain_StoresTheBrokersDeadLetters once, however often they are delivered.
func TestDeadLetterDrain_StoresTheBrokersDeadLetters(t *testing.T) {
	a, o := newReplayer(t), someOrder(t, "k")
	one := queue.Message{ID: "m1", Body: raw(t, batch(step(t, o, order.Paid))), Attempt: 501, Headers: map[string]string{"traceparent": traceparent}}
	in := &fakeOnceConsumer{}
	d := workers.NewDeadLetterDrain(workers.DefaultDrainConfig("shipping"), in, a.dead, slog.New(slog.DiscardHandler))
	for range 2 {
		in.messages = []queue.Message{one, {ID: "m2", Body: []byte("garbage"), Attempt: 501}}
		if n, err := d.RunOnce(t.Context()); n != 2 || err != nil {
			t.Fatalf("drained %d, %v", n, err)
		}
	}
	if len(in.acked) != 4 {
		t.Errorf("acknowledged: %v", in.acked)
	}
	letters, err := a.dead.List(t.Context(), store.DeadLetterFilter{Source: "broker/shipping"}, 0, 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("letters: %+v, %v", letters, err)
	}
	l := letters[1]
	if l.DedupKey != "broker/shipping/m1" || l.OrderID != string(o.ID) || l.TraceID != traceID || l.PayloadType != wire.TypeBatch ||
		l.Attempts != 502 || !strings.Contains(l.Reason, "501") {
		t.Errorf("the dead letter is %+v", l)
	}
	if err := a.Replay(t.Context(), l.ID, "op"); err != nil {
		t.Errorf("replay: %v", err)
	}
	if got, err := a.orders.Get(t.Context(), o.ID); err != nil || got.State != order.Paid {
		t.Errorf("the order is %v, %v", got.State, err)
	}
}

// fakeRefusingMailClient is a mail server that refuses one order's mail.
type fakeRefusingMailClient struct {
	refusedID order.ID
	sent      []order.ID
}

func (m *fakeRefusingMailClient) Send(_ context.Context, mails []order.Mail) []error {
	errs := make([]error, len(mails))
	for i, sent := range mails {
		if sent.Order.ID == m.refusedID {
			errs[i] = fmt.Errorf("no such mailbox: %w", order.ErrInvalid)
			continue
		}
		m.sent = append(m.sent, sent.Order.ID)
	}
	return errs
}

// TestMailer_RefusedMailCostsOnlyItself: it is a dead letter with the order.
func TestMailer_RefusedMailCostsOnlyItself(t *testing.T) {
	a, good, bad := newReplayer(t), someOrder(t, "good"), someOrder(t, "bad")
	refused := step(t, bad, order.Paid)
	refused.Traceparent = traceparent
	cfg := workers.DefaultMailConfig()
	in := &fakeOnceConsumer{messages: []queue.Message{{ID: "m", Body: raw(t, batch(refused, step(t, good, order.Paid))), Attempt: 1}}}
	mail := &fakeRefusingMailClient{refusedID: bad.ID}
	m := workers.NewMailer(cfg, in, &fakeOutbox{}, a.dead, mail, slog.New(slog.DiscardHandler))
	if _, err := m.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(mail.sent, []order.ID{good.ID}) || !slices.Equal(in.acked, []string{"m"}) {
		t.Errorf("sent %v, acknowledged %v", mail.sent, in.acked)
	}
	letters, err := a.dead.List(t.Context(), store.DeadLetterFilter{Source: "mailer", OrderID: string(bad.ID)}, 0, 10)
	if err != nil || len(letters) != 1 || letters[0].PayloadType != wire.TypeMail || letters[0].TraceID != traceID {
		t.Fatalf("letters: %+v, %v", letters, err)
	}
	f, err := a.dead.Get(t.Context(), letters[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var s spillwayv1.SendOrderMailRequest
	if err := proto.Unmarshal(f.Payload, &s); err != nil || s.GetOrder().GetId() != string(bad.ID) {
		t.Errorf("its payload is of order %q, %v", s.GetOrder().GetId(), err)
	}
}
