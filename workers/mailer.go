package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
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

// Mail writes to customers, each order once.
type Mail interface {
	SendConfirmation(ctx context.Context, o order.Order) error
}

// Mailer confirms paid orders by mail.
type Mailer struct {
	cfg      MailConfig
	consumer queue.Consumer
	mail     Mail
	reader   reader
	log      *slog.Logger
}

// NewMailer makes a mailer on the consumer of group "mail".
func NewMailer(cfg MailConfig, c queue.Consumer, dead DeadLetters, mail Mail, log *slog.Logger) *Mailer {
	return &Mailer{
		cfg: cfg, consumer: c, mail: mail,
		reader: reader{source: "mailer", dead: dead}, log: log.With("worker", "mailer"),
	}
}

// Run sends until ctx ends.
func (m *Mailer) Run(ctx context.Context) { loop(ctx, m.log, m.RunOnce) }

// RunOnce confirms what one Receive brings and returns how many orders that were.
func (m *Mailer) RunOnce(ctx context.Context) (int, error) {
	messages, err := m.consumer.Receive(ctx, m.cfg.Messages, m.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	changes, err := m.reader.read(ctx, messages)
	if err != nil {
		return 0, err
	}
	orders := paid(changes)
	failed := m.send(ctx, orders)
	attempt := 0
	for _, msg := range messages {
		attempt = max(attempt, msg.Attempt)
	}
	if len(failed) > 0 && attempt < m.cfg.Attempts {
		return 0, fmt.Errorf("%d of %d mails were not sent; they are tried again", len(failed), len(orders))
	}
	if err := m.bury(ctx, orders, traces(changes), failed, attempt); err != nil {
		return 0, err
	}
	return len(orders), m.consumer.Ack(ctx, messages...)
}

func (m *Mailer) send(ctx context.Context, orders []order.Order) map[order.ID]error {
	var mu sync.Mutex
	failed := make(map[order.ID]error)
	each(ctx, m.cfg.Concurrency, orders, func(o order.Order) {
		if err := m.mail.SendConfirmation(ctx, o); err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed[o.ID] = err
		}
	})
	return failed
}

func (m *Mailer) bury(ctx context.Context, orders []order.Order, traces map[order.ID]string, failed map[order.ID]error, attempts int) error {
	for _, o := range orders {
		reason, ok := failed[o.ID]
		if !ok {
			continue
		}
		payload, err := wire.MarshalSnapshot(o)
		if err != nil {
			return err
		}
		m.log.ErrorContext(ctx, "a confirmation could not be sent; it is in failed_orders", "order", o.ID, "error", reason)
		err = m.reader.bury(ctx, letter{
			key: "order/" + string(o.ID), orderID: string(o.ID), typ: wire.TypeSnapshot, payload: payload, trace: traces[o.ID],
			attempts: attempts, reason: reason,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
