package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
)

// MailConfig sets up a Mailer.
type MailConfig struct {
	// Messages is how many messages are leased at once.
	Messages int
	// Mails is how many mails one iteration sends at most, unless its first message has more.
	Mails int
	// Lease is how long the messages are leased. Mails that cannot be sent within it go to the outbox.
	Lease time.Duration
}

// DefaultMailConfig leases eight messages, whose mails share statements also if the relay's messages are small. An iteration sends at most one
// turn of mails, which is what one message has when orders come fast: eight turns, with the longest waits, fit into half of the lease.
func DefaultMailConfig() MailConfig {
	return MailConfig{Messages: 8, Mails: mailsPerTurn, Lease: 60 * time.Second}
}

// outcomeReserve is the part of a lease in which the outcome of mails is written. No mail is sent in it.
const outcomeReserve = 5 * time.Second

// MailClient sends mails to customers, one for each order and kind.
type MailClient interface {
	// Send sends the mails and returns one error for each, in their order: nil if the mail was sent, now or before; order.ErrInvalid if it can
	// never be sent; order.ErrOverloaded or order.ErrNotSent if it was not tried. After any error but order.ErrInvalid a retry may send it.
	Send(ctx context.Context, mails []order.Mail) []error
}

// MailOutbox adds mails to the outbox of the MailDispatcher.
type MailOutbox interface {
	AddAllDue(ctx context.Context, kind order.MailKind, ids []order.ID) error
}

// Mailer sends a confirmation by mail for each paid order; orders that were never paid cause none. A mail that can never be sent becomes a
// dead letter. Any other mail that was not sent goes to the outbox, so that the MailDispatcher retries it: the queue counts the deliveries of
// a message, and not the attempts of a mail. One goroutine runs a Mailer.
type Mailer struct {
	cfg      MailConfig
	consumer *leases
	outbox   MailOutbox
	mail     MailClient
	reader   reader
	yield    MailYield
	log      *slog.Logger
	sent     *countLog
	// held are messages that were too many for the last iteration. leaseEnd is when their leases end.
	held     []queue.Message
	leaseEnd time.Time
}

// NewMailer makes a mailer on the consumer of group "mail".
func NewMailer(cfg MailConfig, c queue.Consumer, outbox MailOutbox, dead DeadLetters, mail MailClient, log *slog.Logger) *Mailer {
	log = log.With("worker", "mailer")
	return &Mailer{
		cfg: cfg, consumer: &leases{Consumer: c}, outbox: outbox, mail: mail, log: log, sent: newCountLog(log, "mails sent"),
		reader: reader{source: store.MailerSource, dead: dead, paidOnly: true},
	}
}

// WithYield makes Run wait while the order path is busy. RunOnce never waits.
func (m *Mailer) WithYield(y MailYield) *Mailer {
	m.yield = y
	return m
}

// Run sends until ctx ends. It releases the messages with mails that it did not send then.
func (m *Mailer) Run(ctx context.Context) {
	defer m.sent.flush(ctx)
	defer m.consumer.releaseHeld(ctx, m.log)
	loop(ctx, m.log, m.yield.turns(m.iterate))
}

// RunOnce sends the mails of some messages and acknowledges the messages. It returns how many mails are done: sent, in the
// outbox, or dead letters; but at least the number of messages, so that 0 means that there was none.
func (m *Mailer) RunOnce(ctx context.Context) (int, error) {
	done, _, err := m.iterate(ctx)
	return done, err
}

func (m *Mailer) iterate(ctx context.Context) (done, tried int, err error) {
	messages, mails, err := m.receive(ctx)
	if err != nil || len(messages) == 0 {
		m.sent.add(ctx, 0)
		return 0, 0, err
	}
	ctx, span := queue.Process(ctx, messages)
	defer func() { tracing.End(span, err) }()
	outcome := m.send(ctx, mails)
	// The outcome is written also when ctx has ended, so that a mail that was sent is not sent again, and one that was not is not late.
	ctx = context.WithoutCancel(ctx)
	if err := m.settle(ctx, mails, outcome); err != nil {
		return 0, len(mails), err
	}
	if err := m.consumer.Ack(ctx, messages...); err != nil {
		return 0, len(mails), fmt.Errorf("acknowledge: %w", err)
	}
	return max(len(mails), len(messages)), len(mails), nil
}

// send sends the mails within the lease and returns the error of each.
func (m *Mailer) send(ctx context.Context, mails []outgoingMail) []error {
	if len(mails) == 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, m.leaseEnd.Add(-outcomeReserve))
	defer cancel()
	ctx, span := tracing.StartBatch(ctx, scope, spanMailBatch, len(mails), linksOf(mails, traceOfMail))
	defer span.End()
	batch := make([]order.Mail, len(mails))
	for i, o := range mails {
		batch[i] = o.Mail
	}
	return m.mail.Send(ctx, batch)
}

// settle writes dead letters of the mails that can never be sent, and adds the others that were not sent to the outbox. After a crash in
// between the messages are delivered again: the same dead letter is written once, and a mail is in the outbox once.
func (m *Mailer) settle(ctx context.Context, mails []outgoingMail, outcome []error) error {
	var dead []store.DeadLetter
	var late []order.ID
	var reason error
	for i, err := range outcome {
		switch {
		case err == nil:
		case errors.Is(err, order.ErrInvalid):
			d, derr := mails[i].deadLetter(1, err)
			if derr != nil {
				return derr
			}
			m.log.ErrorContext(ctx, "mail can never be sent; it is in failed_orders", "order_id", d.OrderID, "kind", mails[i].Kind, "error", err)
			dead = append(dead, d)
		default:
			late, reason = append(late, mails[i].Order.ID), err
		}
	}
	m.sent.add(ctx, len(mails)-len(dead)-len(late))
	if len(dead) > 0 {
		if err := m.reader.dead.Put(ctx, dead...); err != nil {
			return fmt.Errorf("write to failed_orders: %w", err)
		}
	}
	return m.postpone(ctx, late, reason)
}

// postpone adds the confirmations of the orders to the outbox.
func (m *Mailer) postpone(ctx context.Context, late []order.ID, reason error) error {
	if len(late) == 0 {
		return nil
	}
	m.log.WarnContext(ctx, "mails were not sent; the mail dispatcher retries them", "mails", len(late), "first_order_id", late[0], "last_error", reason)
	if err := m.outbox.AddAllDue(ctx, order.MailConfirmation, late); err != nil {
		return fmt.Errorf("add %d mails to the outbox: %w", len(late), err)
	}
	return nil
}
