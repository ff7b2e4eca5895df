package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// Messages is how many messages one iteration takes.
	Messages int
	// Lease is how long the messages are leased. Mails that cannot be sent within it are left for the next delivery.
	Lease time.Duration
	// MaxDeliveries is how often a message is delivered before its mails that still fail go to failed_orders.
	MaxDeliveries int
}

// DefaultMailConfig takes eight messages, whose mails fill a batch also if the relay's messages are small.
func DefaultMailConfig() MailConfig {
	return MailConfig{Messages: 8, Lease: 60 * time.Second, MaxDeliveries: 5}
}

// outcomeReserve is the part of a lease in which the outcome of mails is written. No mail is sent in it.
const outcomeReserve = 5 * time.Second

// MailClient sends mails to customers, one for each order and kind.
type MailClient interface {
	// Send sends the mails and returns one error for each, in their order: nil if the mail was sent, now or before; order.ErrInvalid if it can
	// never be sent; order.ErrOverloaded if it was not tried. After any other error a retry may send it.
	Send(ctx context.Context, mails []order.Mail) []error
}

// outgoingMail is a mail to be sent.
type outgoingMail struct {
	order.Mail
	// trace is the W3C traceparent of the request that caused it, or empty.
	trace string
}

// key returns the dedup key of the mail's dead letter.
func (m outgoingMail) key() string { return store.MailKey(m.Order.ID, m.Kind) }

// Mailer sends a confirmation by mail for each paid order. The MailDispatcher sends all other mails; orders that were never paid cause
// none. A message with a mail that failed is delivered again, at most MailConfig.MaxDeliveries times; then the mail becomes a dead letter.
type Mailer struct {
	cfg      MailConfig
	consumer queue.Consumer
	mail     MailClient
	reader   reader
	yield    MailYield
	log      *slog.Logger
}

// NewMailer makes a mailer on the consumer of group "mail".
func NewMailer(cfg MailConfig, c queue.Consumer, dead DeadLetters, mail MailClient, log *slog.Logger) *Mailer {
	return &Mailer{
		cfg: cfg, consumer: c, mail: mail,
		reader: reader{source: store.MailerSource, dead: dead, paidOnly: true}, log: log.With("worker", "mailer"),
	}
}

// WithYield makes Run wait while the order path is busy. RunOnce never waits.
func (m *Mailer) WithYield(y MailYield) *Mailer {
	m.yield = y
	return m
}

// Run sends until ctx ends.
func (m *Mailer) Run(ctx context.Context) { loop(ctx, m.log, m.yield.turns(m.RunOnce)) }

// RunOnce sends the mails of the messages of one Receive and returns their number.
func (m *Mailer) RunOnce(ctx context.Context) (int, error) {
	messages, err := m.consumer.Receive(ctx, m.cfg.Messages, m.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	mails := make([][]outgoingMail, len(messages))
	for i, msg := range messages {
		changes, err := m.reader.read(ctx, []queue.Message{msg})
		if err != nil {
			return 0, err
		}
		mails[i] = confirmations(changes)
	}
	all := distinctMails(mails)
	failed := m.send(ctx, all)
	// Each message has its own number of attempts: a new one is not dead-lettered early because it came together with an old one.
	for i, msg := range messages {
		if err := m.deadLetter(ctx, mails[i], failed, msg.Attempt); err != nil {
			return 0, err
		}
	}
	var done []queue.Message
	for i, msg := range messages {
		if !slices.ContainsFunc(mails[i], func(o outgoingMail) bool { return failed[o.key()] != nil }) {
			done = append(done, msg)
		}
	}
	if err := m.consumer.Ack(ctx, done...); err != nil {
		return 0, err
	}
	if len(failed) > 0 {
		return 0, fmt.Errorf("%d of %d mails were not sent; their messages are delivered again", len(failed), len(all))
	}
	return len(all), nil
}

// distinctMails returns the mails of all messages, each once.
func distinctMails(mails [][]outgoingMail) []outgoingMail {
	seen := make(map[string]bool)
	var out []outgoingMail
	for _, m := range slices.Concat(mails...) {
		if !seen[m.key()] {
			seen[m.key()] = true
			out = append(out, m)
		}
	}
	return out
}

// confirmations returns the mails that the changes cause, each once. An order that was never paid causes none, also when it expires or
// is cancelled: an unknown guest chose its address and text, so that the mail could reach a victim.
func confirmations(changes []order.Event) []outgoingMail {
	seen := make(map[order.ID]bool, len(changes))
	var out []outgoingMail
	for _, c := range changes {
		if c.To != order.Paid || seen[c.Order.ID] {
			continue
		}
		seen[c.Order.ID] = true
		m := outgoingMail{Mail: order.Mail{Kind: order.MailConfirmation, Order: c.Order}, trace: c.Trace}
		m.Order.State, m.Order.UpdatedAt = c.To, c.At
		out = append(out, m)
	}
	return out
}

// send sends the mails within the lease and returns the errors of those that failed, by their keys.
func (m *Mailer) send(ctx context.Context, mails []outgoingMail) map[string]error {
	failed := make(map[string]error)
	if len(mails) == 0 {
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Lease-outcomeReserve)
	defer cancel()
	batch := make([]order.Mail, len(mails))
	for i, o := range mails {
		batch[i] = o.Mail
	}
	for i, err := range m.mail.Send(ctx, batch) {
		if err != nil {
			failed[mails[i].key()] = err
		}
	}
	return failed
}

// deadLetter writes dead letters of the failed mails that can never be sent, and after the last attempt of all that were tried. It removes them
// from failed.
func (m *Mailer) deadLetter(ctx context.Context, mails []outgoingMail, failed map[string]error, attempts int) error {
	for _, o := range mails {
		reason, ok := failed[o.key()]
		if !ok || !gaveUp(reason, attempts, m.cfg.MaxDeliveries) {
			continue
		}
		dead, err := o.deadLetter(attempts, reason)
		if err != nil {
			return err
		}
		m.log.ErrorContext(ctx, "mail could not be sent; it is in failed_orders", "order_id", o.Order.ID, "kind", o.Kind, "error", reason)
		if err := m.reader.dead.Put(ctx, dead); err != nil {
			return fmt.Errorf("write to failed_orders: %w", err)
		}
		delete(failed, o.key())
	}
	return nil
}

// gaveUp reports whether a mail that failed becomes a dead letter: it can never be sent, or it was tried for the last time.
func gaveUp(reason error, attempts, maxAttempts int) bool {
	return errors.Is(reason, order.ErrInvalid) || attempts >= maxAttempts && !errors.Is(reason, order.ErrOverloaded)
}

// deadLetter returns the mail's dead letter. Its payload is the request, to be sent again, or the order if the kind is unknown.
func (m outgoingMail) deadLetter(attempts int, reason error) (f store.DeadLetter, err error) {
	f = store.DeadLetter{
		DedupKey: m.key(), Source: store.MailerSource, OrderID: string(m.Order.ID), Reason: oneLine(reason),
		TraceID: wire.TraceID(m.trace), Attempts: attempts,
	}
	if req := wire.MailRequest(m.Mail); req.GetKind() != spillwayv1.MailKind_MAIL_KIND_UNSPECIFIED {
		f.PayloadType = wire.TypeOf(req)
		f.Payload, err = proto.Marshal(req)
		return f, err
	}
	f.PayloadType = wire.TypeSnapshot
	f.Payload, err = wire.MarshalSnapshot(m.Order)
	return f, err
}
