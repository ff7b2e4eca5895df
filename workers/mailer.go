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

// MailClient sends mails to customers, each order once of each kind. order.ErrInvalid: this mail can never be sent.
type MailClient interface {
	Send(ctx context.Context, m order.Mail) error
}

// mailing is one mail to be sent.
type mailing struct {
	order.Mail
	// trace is the W3C traceparent of the request that caused it, or empty.
	trace string
}

// key is the dedup key of its dead letter.
func (l mailing) key() string { return store.MailKey(l.Order.ID, l.Kind) }

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
		reader: reader{source: store.MailerSource, dead: dead}, log: log.With("worker", "mailer"),
	}
}

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
		letters[i] = confirmations(changes)
	}
	all := once(letters)
	failed := m.send(ctx, all)
	// Each message has its own number of attempts: a fresh one loses none because it came with an old one.
	for i, msg := range messages {
		if err := m.deadLetter(ctx, letters[i], failed, msg.Attempt); err != nil {
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
func confirmations(changes []order.Event) []mailing {
	seen := make(map[order.ID]bool, len(changes))
	var out []mailing
	for _, c := range changes {
		if c.To != order.Paid || seen[c.Order.ID] {
			continue
		}
		seen[c.Order.ID] = true
		l := mailing{Mail: order.Mail{Kind: order.MailConfirmation, Order: c.Order}, trace: c.Trace}
		l.Order.State, l.Order.UpdatedAt = c.To, c.At
		out = append(out, l)
	}
	return out
}

// send sends the letters and returns why some, by their keys, were not.
func (m *Mailer) send(ctx context.Context, letters []mailing) map[string]error {
	var mu sync.Mutex
	failed := make(map[string]error)
	forEach(m.cfg.Concurrency, letters, func(l mailing) {
		if err := m.mail.Send(ctx, l.Mail); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed[l.key()] = err
		}
	})
	return failed
}

// deadLetter makes dead letters of those that can never be sent, and of all that failed when they were tried often enough. They no longer
// count as failed.
func (m *Mailer) deadLetter(ctx context.Context, letters []mailing, failed map[string]error, attempts int) error {
	for _, l := range letters {
		reason, ok := failed[l.key()]
		if !ok || attempts < m.cfg.Attempts && !errors.Is(reason, order.ErrInvalid) {
			continue
		}
		dead, err := l.dead(attempts, reason)
		if err != nil {
			return err
		}
		m.log.ErrorContext(ctx, "a mail could not be sent; it is in failed_orders", "order", l.Order.ID, "kind", l.Kind, "error", reason)
		if err := m.reader.dead.Put(ctx, dead); err != nil {
			return fmt.Errorf("write to failed_orders: %w", err)
		}
		delete(failed, l.key())
	}
	return nil
}

// dead is the letter for failed_orders: the request, to be sent again. Of a mail of an unknown kind it is the order.
func (l mailing) dead(attempts int, reason error) (f store.DeadLetter, err error) {
	f = store.DeadLetter{
		DedupKey: l.key(), Source: store.MailerSource, OrderID: string(l.Order.ID), Reason: oneLine(reason),
		TraceID: wire.TraceID(l.trace), Attempts: attempts,
	}
	if req := wire.MailRequest(l.Mail); req.GetKind() != spillwayv1.MailKind_MAIL_KIND_UNSPECIFIED {
		f.PayloadType = wire.TypeOf(req)
		f.Payload, err = proto.Marshal(req)
		return f, err
	}
	f.PayloadType = wire.TypeSnapshot
	f.Payload, err = wire.MarshalSnapshot(l.Order)
	return f, err
}
