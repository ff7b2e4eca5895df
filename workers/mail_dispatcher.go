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
	// Mails is how many mails one iteration takes.
	Mails int
	// Lease is how long the mails are leased. Mails that cannot be sent within it are due again after MinBackoff.
	Lease time.Duration
	// MaxAttempts is how often a mail is tried before it goes to failed_orders. The backoff after the first attempt is MinBackoff; it doubles up to
	// MaxBackoff.
	MaxAttempts            int
	MinBackoff, MaxBackoff time.Duration
}

// DefaultDispatchConfig takes 500 mails, so that the statements of an iteration cost next to nothing for each, and retries for about an hour: 5 s, 10 s, ... 15 min between the attempts. A mail server is unavailable for minutes
// rather than days, and an operator may replay the mails of a longer outage.
func DefaultDispatchConfig() DispatchConfig {
	return DispatchConfig{
		Interval: time.Second, Mails: 500, Lease: 2 * time.Minute,
		MaxAttempts: 12, MinBackoff: 5 * time.Second, MaxBackoff: 15 * time.Minute,
	}
}

// DueMails is the outbox of mails in SQL.
type DueMails interface {
	LeaseDue(ctx context.Context, limit int, lease time.Duration) ([]store.DueMail, error)
	DropDue(ctx context.Context, ids []int64) error
	PostponeDue(ctx context.Context, ids []int64, until time.Time) error
	DeadLetterDue(ctx context.Context, id int64, f store.DeadLetter) error
}

// MailOrders reads what mails need of orders.
type MailOrders interface {
	ForMails(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error)
}

// MailDispatcher sends the mails of the outbox due_mails. The transaction that ships an order, refunds it or cancels it with a refund
// adds the mail there. The dispatcher leases DispatchConfig.Mails an iteration, retries a failed mail with backoff, and makes it a dead
// letter after DispatchConfig.MaxAttempts. Several may run.
type MailDispatcher struct {
	cfg    DispatchConfig
	due    DueMails
	orders MailOrders
	mail   MailClient
	yield  MailYield
	log    *slog.Logger
	now    func() time.Time
}

// NewMailDispatcher makes a dispatcher.
func NewMailDispatcher(cfg DispatchConfig, due DueMails, orders MailOrders, mail MailClient, log *slog.Logger) *MailDispatcher {
	return &MailDispatcher{cfg: cfg, due: due, orders: orders, mail: mail, log: log.With("worker", "mail_dispatcher"), now: time.Now}
}

// WithYield makes Run wait while the order path is busy. RunOnce never waits.
func (d *MailDispatcher) WithYield(y MailYield) *MailDispatcher {
	d.yield = y
	return d
}

// Run sends until ctx ends.
func (d *MailDispatcher) Run(ctx context.Context) {
	poll(ctx, d.log, d.cfg.Interval, d.yield.turns(d.RunOnce))
}

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
	orders, err := d.orders.ForMails(ctx, ids)
	if err != nil {
		return 0, err
	}
	outcome := d.send(ctx, due, orders)
	// The outcome is written also when ctx has ended, so that a mail that was sent is not sent again.
	return d.settle(context.WithoutCancel(ctx), due, orders, outcome)
}

// send sends the mails within the lease and returns one error for each.
func (d *MailDispatcher) send(ctx context.Context, due []store.DueMail, orders map[order.ID]order.Order) []error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Lease-outcomeReserve)
	defer cancel()
	outcome := make([]error, len(due))
	var mails []order.Mail
	var index []int // of each mail in due
	for i, m := range due {
		o, ok := orders[m.OrderID]
		if !ok {
			outcome[i] = errNoRow
			continue
		}
		mails, index = append(mails, order.Mail{Kind: m.Kind, Order: o, Refund: m.Refund}), append(index, i)
	}
	if len(mails) == 0 {
		return outcome
	}
	for i, err := range d.mail.Send(ctx, mails) {
		outcome[index[i]] = err
	}
	return outcome
}

// settle writes the outcome of each mail to SQL, first of those that were sent.
func (d *MailDispatcher) settle(ctx context.Context, due []store.DueMail, orders map[order.ID]order.Order, outcome []error) (int, error) {
	var sent []int64
	failed := make(map[time.Duration]*postponed)
	var errs []error
	for i, m := range due {
		switch {
		case outcome[i] == nil:
			sent = append(sent, m.ID)
		case gaveUp(outcome[i], m.Attempts, d.cfg.MaxAttempts):
			errs = append(errs, d.deadLetter(ctx, m, orders[m.OrderID], outcome[i]))
		default:
			d.addFailed(failed, m, outcome[i])
		}
	}
	errs = append(errs, d.due.DropDue(ctx, sent))
	for backoff, p := range failed {
		d.log.WarnContext(ctx, "mails were not sent, retrying", "mails", len(p.ids), "backoff", backoff,
			"first_order_id", p.first.OrderID, "first_kind", p.first.Kind, "first_attempt", p.first.Attempts, "first_error", p.reason)
		errs = append(errs, d.due.PostponeDue(ctx, p.ids, d.now().Add(backoff)))
	}
	return len(sent), errors.Join(errs...)
}

// postponed are mails with the same backoff. reason is the error of the first.
type postponed struct {
	ids    []int64
	first  store.DueMail
	reason error
}

// addFailed adds a mail to those with the same backoff. A mail that was not tried is due again soon.
func (d *MailDispatcher) addFailed(failed map[time.Duration]*postponed, m store.DueMail, reason error) {
	backoff := d.cfg.MinBackoff
	if !errors.Is(reason, order.ErrOverloaded) {
		backoff = backoffFor(m.Attempts-1, d.cfg.MinBackoff, d.cfg.MaxBackoff)
	}
	if failed[backoff] == nil {
		failed[backoff] = &postponed{first: m, reason: reason}
	}
	failed[backoff].ids = append(failed[backoff].ids, m.ID)
}

// deadLetter makes a dead letter of a mail. The payload of one whose order has no row has only the order's id.
func (d *MailDispatcher) deadLetter(ctx context.Context, m store.DueMail, o order.Order, reason error) error {
	o.ID = m.OrderID
	dead, err := outgoingMail{Mail: order.Mail{Kind: m.Kind, Order: o, Refund: m.Refund}}.deadLetter(m.Attempts, reason)
	if err != nil {
		return fmt.Errorf("make a dead letter of a mail: %w", err)
	}
	d.log.ErrorContext(ctx, "mail could not be sent; it is in failed_orders", "order_id", m.OrderID, "kind", m.Kind, "attempts", m.Attempts, "error", reason)
	return d.due.DeadLetterDue(ctx, m.ID, dead)
}
