package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// MailConfig sets up a Mailer.
type MailConfig struct {
	// Messages is how many messages one turn takes.
	Messages int
	// Concurrency is how many mails are under way at most.
	Concurrency int
	// Lease is how long the messages stay this mailer's own.
	Lease time.Duration
	// Attempts is how often a message is tried before its mails that still fail go to failed_orders.
	Attempts int
}

// DefaultMailConfig sends 10 mails at once.
func DefaultMailConfig() MailConfig {
	return MailConfig{Messages: 4, Concurrency: 10, Lease: 60 * time.Second, Attempts: 5}
}

// MailClient writes to customers, each order once of each kind. order.ErrInvalid: this mail can never be sent.
type MailClient interface {
	SendConfirmation(ctx context.Context, o order.Order) error
	SendShipped(ctx context.Context, o order.Order) error
	SendCancelled(ctx context.Context, o order.Order, refund order.Money) error
	// SendRefunded is sent once a refund.
	SendRefunded(ctx context.Context, o order.Order, refundID string, refund order.Money) error
}

// mailing is one mail to be sent.
type mailing struct {
	kind  order.MailKind
	order order.Order
	// refund is what a cancellation gave back; zero for nothing.
	refund order.Money
	// trace is the W3C traceparent of the request that caused it, or empty.
	trace string
}

func (l mailing) send(ctx context.Context, mail MailClient) error {
	switch l.kind.Base() {
	case order.MailConfirmation:
		return mail.SendConfirmation(ctx, l.order)
	case order.MailShipped:
		return mail.SendShipped(ctx, l.order)
	case order.MailCancelled:
		return mail.SendCancelled(ctx, l.order, l.refund)
	case order.MailRefund:
		id, _ := l.kind.RefundID()
		return mail.SendRefunded(ctx, l.order, id, l.refund)
	}
	return fmt.Errorf("a mail of kind %q: %w", l.kind, order.ErrInvalid)
}

// key names the letter among the dead ones. That of a confirmation is older than the other kinds.
func (l mailing) key() string {
	if l.kind == order.MailConfirmation {
		return "order/" + string(l.order.ID)
	}
	return "order/" + string(l.order.ID) + "/" + string(l.kind)
}

// Mailer confirms paid orders by mail. The other mails are the MailDispatcher's. Orders that were never paid cause no mail.
type Mailer struct {
	cfg      MailConfig
	consumer queue.Consumer
	mail     MailClient
	reader   reader
	log      *slog.Logger
}

// NewMailer makes a mailer on the consumer of group "mail".
func NewMailer(cfg MailConfig, c queue.Consumer, dead DeadLetters, mail MailClient, log *slog.Logger) *Mailer {
	return &Mailer{
		cfg: cfg, consumer: c, mail: mail,
		reader: reader{source: mailSource, dead: dead}, log: log.With("worker", "mailer"),
	}
}

// mailSource is whose the dead letters of mails are.
const mailSource = "mailer"

// Run sends until ctx ends.
func (m *Mailer) Run(ctx context.Context) { loop(ctx, m.log, m.RunOnce) }

// RunOnce sends what one Receive brings and returns how many mails that were.
func (m *Mailer) RunOnce(ctx context.Context) (int, error) {
	messages, err := m.consumer.Receive(ctx, m.cfg.Messages, m.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	letters := make([][]mailing, len(messages))
	for i, msg := range messages {
		changes, err := m.reader.read(ctx, []queue.Message{msg})
		if err != nil {
			return 0, err
		}
		letters[i] = news(changes)
	}
	all := once(letters)
	failed := m.send(ctx, all)
	// Each message has its own number of attempts: a fresh one loses none because it came with an old one.
	for i, msg := range messages {
		if err := m.bury(ctx, letters[i], failed, msg.Attempt); err != nil {
			return 0, err
		}
	}
	var done []queue.Message
	for i, msg := range messages {
		if !slices.ContainsFunc(letters[i], func(l mailing) bool { return failed[l.key()] != nil }) {
			done = append(done, msg)
		}
	}
	if err := m.consumer.Ack(ctx, done...); err != nil {
		return 0, err
	}
	if len(failed) > 0 {
		return 0, fmt.Errorf("%d of %d mails were not sent; they are tried again", len(failed), len(all))
	}
	return len(all), nil
}

// once are the letters of all messages, each once.
func once(letters [][]mailing) []mailing {
	seen := make(map[string]bool)
	var out []mailing
	for _, l := range slices.Concat(letters...) {
		if !seen[l.key()] {
			seen[l.key()] = true
			out = append(out, l)
		}
	}
	return out
}

// news returns the mails that the changes cause, each once: confirmations of paid orders. An order that was never paid causes none, also
// when it expires or is cancelled: its address and text are whatever an unknown guest wrote, and the mail would go to a victim.
func news(changes []order.Event) []mailing {
	seen := make(map[order.ID]bool, len(changes))
	var out []mailing
	for _, c := range changes {
		if c.To != order.Paid || seen[c.Order.ID] {
			continue
		}
		seen[c.Order.ID] = true
		l := mailing{kind: order.MailConfirmation, order: c.Order, trace: c.Trace}
		l.order.State, l.order.UpdatedAt = c.To, c.At
		out = append(out, l)
	}
	return out
}

// send sends the letters and returns why some, by their keys, were not.
func (m *Mailer) send(ctx context.Context, letters []mailing) map[string]error {
	var mu sync.Mutex
	failed := make(map[string]error)
	each(ctx, m.cfg.Concurrency, letters, func(l mailing) {
		if err := l.send(ctx, m.mail); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed[l.key()] = err
		}
	})
	return failed
}

// bury makes dead letters of those that can never be sent, and of all that failed when they were tried often enough. They no longer
// count as failed.
func (m *Mailer) bury(ctx context.Context, letters []mailing, failed map[string]error, attempts int) error {
	for _, l := range letters {
		reason, ok := failed[l.key()]
		if !ok || attempts < m.cfg.Attempts && !errors.Is(reason, order.ErrInvalid) {
			continue
		}
		dead, err := l.dead(attempts, reason)
		if err != nil {
			return err
		}
		m.log.ErrorContext(ctx, "a mail could not be sent; it is in failed_orders", "order", l.order.ID, "kind", l.kind, "error", reason)
		if err := m.reader.dead.Put(ctx, dead); err != nil {
			return fmt.Errorf("write to failed_orders: %w", err)
		}
		delete(failed, l.key())
	}
	return nil
}

// request asks the EmailService for the mail; nil for a kind that it does not know.
func (l mailing) request() proto.Message {
	switch l.kind.Base() {
	case order.MailConfirmation:
		return &spillwayv1.SendOrderConfirmationRequest{Order: wire.Order(l.order)}
	case order.MailShipped:
		return &spillwayv1.SendOrderShippedRequest{Order: wire.Order(l.order)}
	case order.MailCancelled:
		req := &spillwayv1.SendOrderCancelledRequest{Order: wire.Order(l.order)}
		if l.refund.Amount != 0 {
			req.Refund = wire.Money(l.refund)
		}
		return req
	case order.MailRefund:
		id, _ := l.kind.RefundID()
		return &spillwayv1.SendOrderRefundedRequest{Order: wire.Order(l.order), Refund: wire.Money(l.refund), RefundId: id}
	}
	return nil
}

// dead is the letter for failed_orders: the request, to be sent again. Of a mail of an unknown kind it is the order.
func (l mailing) dead(attempts int, reason error) (f store.DeadLetter, err error) {
	f = store.DeadLetter{
		DedupKey: mailSource + "/" + l.key(), Source: mailSource, OrderID: string(l.order.ID), Reason: plainly(reason),
		TraceID: wire.TraceID(l.trace), Attempts: attempts,
	}
	if req := l.request(); req != nil {
		f.PayloadType = wire.TypeOf(req)
		f.Payload, err = proto.Marshal(req)
		return f, err
	}
	f.PayloadType = wire.TypeSnapshot
	f.Payload, err = wire.MarshalSnapshot(l.order)
	return f, err
}
