package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// DispatchConfig sets up a MailDispatcher.
type DispatchConfig struct {
	// Interval is the time between two polls that found no mail due.
	Interval time.Duration
	// Mails is how many mails one iteration takes, Concurrency how many of them are sent at once.
	Mails, Concurrency int
	// Lease is how long the mails are leased: longer than an iteration, in which the mail policy bounds each call.
	Lease time.Duration
	// MaxAttempts is how often a mail is tried before it goes to failed_orders. The backoff after the first attempt is MinBackoff; it doubles up to
	// MaxBackoff.
	MaxAttempts            int
	MinBackoff, MaxBackoff time.Duration
}

// DefaultDispatchConfig retries for about an hour: 5 s, 10 s, ... 15 min between the attempts. A mail server is unavailable for minutes
// rather than days, and an operator may replay the mails of a longer outage.
func DefaultDispatchConfig() DispatchConfig {
	return DispatchConfig{
		Interval: time.Second, Mails: 50, Concurrency: 10, Lease: 2 * time.Minute,
		MaxAttempts: 12, MinBackoff: 5 * time.Second, MaxBackoff: 15 * time.Minute,
	}
}

// DueMails is the outbox of mails in SQL.
type DueMails interface {
	LeaseDue(ctx context.Context, limit int, lease time.Duration) ([]store.DueMail, error)
	DropDue(ctx context.Context, ids []int64) error
	PostponeDue(ctx context.Context, id int64, until time.Time) error
	DeadLetterDue(ctx context.Context, id int64, f store.DeadLetter) error
}

// OrderLookup reads whole orders.
type OrderLookup interface {
	ByIDs(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error)
}

// MailDispatcher sends the mails of the outbox due_mails. The transaction that ships an order, refunds it or cancels it with a refund
// adds the mail there. The dispatcher leases DispatchConfig.Mails an iteration, retries a failed mail with backoff, and makes it a dead
// letter after DispatchConfig.MaxAttempts. Several may run.
type MailDispatcher struct {
	cfg    DispatchConfig
	due    DueMails
	orders OrderLookup
	mail   MailClient
	log    *slog.Logger
	now    func() time.Time
}

// NewMailDispatcher makes a dispatcher.
func NewMailDispatcher(cfg DispatchConfig, due DueMails, orders OrderLookup, mail MailClient, log *slog.Logger) *MailDispatcher {
	return &MailDispatcher{cfg: cfg, due: due, orders: orders, mail: mail, log: log.With("worker", "mail_dispatcher"), now: time.Now}
}

// Run sends until ctx ends.
func (d *MailDispatcher) Run(ctx context.Context) { poll(ctx, d.log, d.cfg.Interval, d.RunOnce) }

// errNoRow means that a mail is due for an order without a row in SQL, perhaps because it is not written yet.
var errNoRow = errors.New("the order is not in SQL")

// RunOnce sends the mails that are due and returns how many were sent. A mail that failed is due again later, or becomes a dead letter.
func (d *MailDispatcher) RunOnce(ctx context.Context) (int, error) {
	due, err := d.due.LeaseDue(ctx, d.cfg.Mails, d.cfg.Lease)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	ids := make([]order.ID, len(due))
	for i, m := range due {
		ids[i] = m.OrderID
	}
	orders, err := d.orders.ByIDs(ctx, ids)
	if err != nil {
		return 0, err
	}
	outcome := make([]error, len(due))
	forEach(d.cfg.Concurrency, indexes(due), func(i int) { outcome[i] = d.send(ctx, due[i], orders) })
	// The outcome is written also when ctx has ended, so that a mail that was sent is not sent again.
	return d.settle(context.WithoutCancel(ctx), due, orders, outcome)
}

func indexes[T any](in []T) []int {
	out := make([]int, len(in))
	for i := range in {
		out[i] = i
	}
	return out
}

func (d *MailDispatcher) send(ctx context.Context, m store.DueMail, orders map[order.ID]order.Order) error {
	o, ok := orders[m.OrderID]
	if !ok {
		return errNoRow
	}
	return d.mail.Send(ctx, order.Mail{Kind: m.Kind, Order: o, Refund: m.Refund})
}

// settle writes the outcome of each mail to SQL, first of those that were sent.
func (d *MailDispatcher) settle(ctx context.Context, due []store.DueMail, orders map[order.ID]order.Order, outcome []error) (int, error) {
	var sent []int64
	for i, m := range due {
		if outcome[i] == nil {
			sent = append(sent, m.ID)
		}
	}
	errs := []error{d.due.DropDue(ctx, sent)}
	for i, m := range due {
		if outcome[i] != nil {
			errs = append(errs, d.failed(ctx, m, orders[m.OrderID], outcome[i]))
		}
	}
	return len(sent), errors.Join(errs...)
}

func (d *MailDispatcher) failed(ctx context.Context, m store.DueMail, o order.Order, reason error) error {
	if m.Attempts < d.cfg.MaxAttempts && !errors.Is(reason, order.ErrInvalid) {
		backoff := backoffFor(m.Attempts-1, d.cfg.MinBackoff, d.cfg.MaxBackoff)
		d.log.WarnContext(ctx, "mail was not sent, retrying", "order_id", m.OrderID, "kind", m.Kind, "attempt", m.Attempts, "backoff", backoff, "error", reason)
		return d.due.PostponeDue(ctx, m.ID, d.now().Add(backoff))
	}
	o.ID = m.OrderID
	dead, err := outgoingMail{Mail: order.Mail{Kind: m.Kind, Order: o, Refund: m.Refund}}.deadLetter(m.Attempts, reason)
	if err != nil {
		return fmt.Errorf("make a dead letter of a mail: %w", err)
	}
	d.log.ErrorContext(ctx, "mail could not be sent; it is in failed_orders", "order_id", m.OrderID, "kind", m.Kind, "attempts", m.Attempts, "error", reason)
	return d.due.DeadLetterDue(ctx, m.ID, dead)
}
