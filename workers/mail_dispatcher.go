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
	// Every is the pause between two looks that found no mail due.
	Interval time.Duration
	// Mails is how many one turn takes, Concurrency how many of them are under way at most.
	Mails, Concurrency int
	// Lease is how long the mails stay this dispatcher's own: longer than a turn, each of whose calls is bounded by the mail policy.
	Lease time.Duration
	// Attempts is how often a mail is tried before it goes to failed_orders. The pause after the first is MinBackoff; it doubles up to
	// MaxBackoff.
	Attempts               int
	MinBackoff, MaxBackoff time.Duration
}

// DefaultDispatchConfig tries for about an hour: 5 s, 10 s, ... 15 min between the attempts. A mail server is away for minutes rather
// than days, and an operator may replay what took longer.
func DefaultDispatchConfig() DispatchConfig {
	return DispatchConfig{
		Interval: time.Second, Mails: 50, Concurrency: 10, Lease: 2 * time.Minute,
		Attempts: 12, MinBackoff: 5 * time.Second, MaxBackoff: 15 * time.Minute,
	}
}

// DueMails are the mails that SQL says are to be sent.
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

// MailDispatcher sends the mails that were noted as due in the transaction of what they tell: that an order was shipped, refunded, or
// cancelled with a refund.
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

// errNoRow means that a mail is due for an order that SQL does not have, or not yet.
var errNoRow = errors.New("the order is not in SQL")

// RunOnce sends what is due and returns how many mails were sent. One that was not sent is due again later, or becomes a dead letter.
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
	// A mail that went out must not go out again because this process ends.
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

// settle writes down what came of each mail: first those that were sent.
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
	if m.Attempts < d.cfg.Attempts && !errors.Is(reason, order.ErrInvalid) {
		pause := d.pause(m.Attempts)
		d.log.WarnContext(ctx, "a mail was not sent; it is tried again", "order", m.OrderID, "kind", m.Kind, "attempt", m.Attempts, "pause", pause, "error", reason)
		return d.due.PostponeDue(ctx, m.ID, d.now().Add(pause))
	}
	o.ID = m.OrderID
	dead, err := mailing{Mail: order.Mail{Kind: m.Kind, Order: o, Refund: m.Refund}}.dead(m.Attempts, reason)
	if err != nil {
		return fmt.Errorf("make a dead letter of a mail: %w", err)
	}
	d.log.ErrorContext(ctx, "a mail could not be sent; it is in failed_orders", "order", m.OrderID, "kind", m.Kind, "attempts", m.Attempts, "error", reason)
	return d.due.DeadLetterDue(ctx, m.ID, dead)
}

// pause is that after the n-th attempt.
func (d *MailDispatcher) pause(n int) time.Duration {
	pause := d.cfg.MinBackoff
	for range n - 1 {
		if pause = min(2*pause, d.cfg.MaxBackoff); pause == d.cfg.MaxBackoff {
			break
		}
	}
	return pause
}
