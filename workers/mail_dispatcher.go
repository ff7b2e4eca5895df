package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
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
	// MaxBackoff. A mail that was not tried, because the mail server is unavailable, is due again after MinBackoff, however often.
	MaxAttempts            int
	MinBackoff, MaxBackoff time.Duration
}

// DefaultDispatchConfig takes 500 mails, so that the statements of an iteration cost next to nothing for each, and retries a mail that the server
// does not accept for about an hour: 5 s, 10 s, ... 15 min between the attempts. While the server cannot be reached, it costs one lease and one
// return of 500 mails a second.
func DefaultDispatchConfig() DispatchConfig {
	return DispatchConfig{
		Interval: time.Second, Mails: mailsPerTurn, Lease: 2 * time.Minute,
		MaxAttempts: 12, MinBackoff: 5 * time.Second, MaxBackoff: 15 * time.Minute,
	}
}

// DueMails is the outbox of mails in SQL.
type DueMails interface {
	LeaseDue(ctx context.Context, limit int, lease time.Duration) ([]store.DueMail, error)
	DropDue(ctx context.Context, ids []int64) error
	PostponeDue(ctx context.Context, ids []int64, until time.Time) error
	ReturnDue(ctx context.Context, ids []int64, until time.Time) error
	DeadLetterDue(ctx context.Context, mails []store.DeadMail) error
}

// MailOrders reads what mails need of orders.
type MailOrders interface {
	ForMails(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error)
}

// MailDispatcher sends the mails of the outbox due_mails. The transaction that ships an order, refunds it or cancels it with a refund
// adds the mail there, and the Mailer adds the confirmations that it could not send. The dispatcher leases DispatchConfig.Mails an iteration,
// retries a failed mail with backoff, and makes it a dead letter after DispatchConfig.MaxAttempts. A mail that was not tried, because the
// mail server is unavailable or the worker is stopped, keeps its number of attempts. Several dispatchers may run.
type MailDispatcher struct {
	cfg    DispatchConfig
	due    DueMails
	orders MailOrders
	mail   MailClient
	yield  MailYield
	log    *slog.Logger
	sent   *countLog
	now    func() time.Time
}

// NewMailDispatcher makes a dispatcher.
func NewMailDispatcher(cfg DispatchConfig, due DueMails, orders MailOrders, mail MailClient, log *slog.Logger) *MailDispatcher {
	log = log.With("worker", "mail_dispatcher")
	return &MailDispatcher{cfg: cfg, due: due, orders: orders, mail: mail, log: log, sent: newCountLog(log, "mails sent"), now: time.Now}
}

// WithYield makes Run wait while the order path is busy. RunOnce never waits.
func (d *MailDispatcher) WithYield(y MailYield) *MailDispatcher {
	d.yield = y
	return d
}

// Run sends until ctx ends.
func (d *MailDispatcher) Run(ctx context.Context) {
	defer d.sent.flush(ctx)
	poll(ctx, d.log, d.cfg.Interval, d.yield.turns(d.iterate))
}

// errNoRow means that a mail is due for an order without a row in SQL, perhaps because it is not written yet.
var errNoRow = errors.New("the order is not in SQL")

// RunOnce sends the mails that are due and returns how many were sent. A mail that failed is due again later, or becomes a dead letter.
func (d *MailDispatcher) RunOnce(ctx context.Context) (int, error) {
	sent, _, err := d.iterate(ctx)
	return sent, err
}

func (d *MailDispatcher) iterate(ctx context.Context) (sent, tried int, err error) {
	due, err := d.due.LeaseDue(ctx, d.cfg.Mails, d.cfg.Lease)
	if err != nil || len(due) == 0 {
		d.sent.add(ctx, 0)
		return 0, 0, err
	}
	ids := make([]order.ID, len(due))
	for i, m := range due {
		ids[i] = m.OrderID
	}
	orders, err := d.orders.ForMails(ctx, ids)
	if err != nil {
		return 0, len(due), errors.Join(err, d.returnAll(ctx, due))
	}
	outcome := d.send(ctx, due, orders)
	o := d.sorted(due, orders, outcome, ctx.Err() != nil)
	// The outcome is written also when ctx has ended, so that a mail that was sent is not sent again.
	sent, err = d.settle(context.WithoutCancel(ctx), o)
	d.sent.add(ctx, sent)
	return sent, len(due), err
}

// returnAll returns leased mails of which nothing is known, so that they are due again after the first backoff and not after their lease.
func (d *MailDispatcher) returnAll(ctx context.Context, due []store.DueMail) error {
	ids := make([]int64, len(due))
	for i, m := range due {
		ids[i] = m.ID
	}
	return d.due.ReturnDue(context.WithoutCancel(ctx), ids, d.now().Add(d.cfg.MinBackoff))
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
	ctx, span := tracing.StartBatch(ctx, scope, spanMailBatch, len(mails), linksOf(mails, func(m *order.Mail) string { return m.Order.Trace }))
	defer span.End()
	for i, err := range d.mail.Send(ctx, mails) {
		outcome[index[i]] = err
	}
	return outcome
}
