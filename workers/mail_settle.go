package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// mailOutcomes are due mails by what becomes of them.
type mailOutcomes struct {
	sent []int64
	// dead are mails that can never be sent, or were tried for the last time.
	dead []deadMail
	// untried are mails that were not tried, and are due again at the time.
	untried   postponed
	untriedAt time.Time
	// failed are mails that were tried, by their backoff.
	failed map[time.Duration]*postponed
}

// deadMail is a due mail that becomes a dead letter. order has only the id if the order is not in SQL.
type deadMail struct {
	store.DueMail
	order  order.Order
	reason error
}

// postponed are mails that are due again later. reason is the error of the first.
type postponed struct {
	ids    []int64
	first  store.DueMail
	reason error
}

func (p *postponed) add(m store.DueMail, reason error) {
	if len(p.ids) == 0 {
		p.first, p.reason = m, reason
	}
	p.ids = append(p.ids, m.ID)
}

// sorted sorts the mails by what becomes of them. If the worker is being stopped, a failure counts as no attempt, and another worker may try the
// mail at once.
func (d *MailDispatcher) sorted(due []store.DueMail, orders map[order.ID]order.Order, outcome []error, stopped bool) *mailOutcomes {
	o := &mailOutcomes{untriedAt: d.now(), failed: make(map[time.Duration]*postponed)}
	if !stopped {
		o.untriedAt = o.untriedAt.Add(d.cfg.MinBackoff)
	}
	for i, m := range due {
		err := outcome[i]
		tried := isTried(err) && !stopped
		switch {
		case err == nil:
			o.sent = append(o.sent, m.ID)
		case errors.Is(err, order.ErrInvalid), tried && m.Attempts >= d.cfg.MaxAttempts:
			of := orders[m.OrderID]
			of.ID = m.OrderID
			o.dead = append(o.dead, deadMail{DueMail: m, order: of, reason: err})
		case !tried:
			o.untried.add(m, err)
		default:
			backoff := backoffFor(m.Attempts-1, d.cfg.MinBackoff, d.cfg.MaxBackoff)
			if o.failed[backoff] == nil {
				o.failed[backoff] = &postponed{}
			}
			o.failed[backoff].add(m, err)
		}
	}
	return o
}

// settle writes the outcome of each mail to SQL and returns how many were sent. It begins with the mails that were sent, whose number is largest.
// A crash at any point loses and doubles nothing: a mail that was sent has its row in sent_mails, so that it is not sent again, a mail and its
// dead letter change in one transaction, and any other mail is due again when its lease ends.
func (d *MailDispatcher) settle(ctx context.Context, o *mailOutcomes) (int, error) {
	errs := []error{d.due.DropDue(ctx, o.sent), d.deadLetter(ctx, o.dead)}
	if n := len(o.untried.ids); n > 0 {
		d.log.WarnContext(ctx, "mails were not tried, retrying", "mails", n, "first_order_id", o.untried.first.OrderID, "first_error", o.untried.reason)
		errs = append(errs, d.due.ReturnDue(ctx, o.untried.ids, o.untriedAt))
	}
	for backoff, p := range o.failed {
		d.log.WarnContext(ctx, "mails were not sent, retrying", "mails", len(p.ids), "backoff", backoff,
			"first_order_id", p.first.OrderID, "first_kind", p.first.Kind, "first_attempt", p.first.Attempts, "first_error", p.reason)
		errs = append(errs, d.due.PostponeDue(ctx, p.ids, d.now().Add(backoff)))
	}
	return len(o.sent), errors.Join(errs...)
}

// deadLetter makes dead letters of the mails. A mail that cannot be marshalled stays due.
func (d *MailDispatcher) deadLetter(ctx context.Context, mails []deadMail) error {
	var errs []error
	dead := make([]store.DeadMail, 0, len(mails))
	for _, m := range mails {
		f, err := outgoingMail{Mail: order.Mail{Kind: m.Kind, Order: m.order, Refund: m.Refund}, trace: m.order.Trace}.deadLetter(m.Attempts, m.reason)
		if err != nil {
			errs = append(errs, fmt.Errorf("make a dead letter of a mail: %w", err))
			continue
		}
		d.log.ErrorContext(ctx, "mail could not be sent; it is in failed_orders", "order_id", m.OrderID, "kind", m.Kind, "attempts", m.Attempts, "error", m.reason)
		dead = append(dead, store.DeadMail{ID: m.ID, DeadLetter: f})
	}
	if len(dead) == 0 {
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, d.due.DeadLetterDue(ctx, dead))...)
}
