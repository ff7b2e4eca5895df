package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// DueMail is a mail that is to be sent.
type DueMail struct {
	ID      int64
	OrderID order.ID
	Kind    order.MailKind
	// Attempts is how often it was tried, the attempt for which it was taken included.
	Attempts int
	// Refund is what the refund of the kind gave back, or for a cancellation what the order's customer got back in all; zero if nothing had been
	// taken.
	Refund order.Money
}

// AddDue notes that the order's mail of the kind is to be sent; one that is due already stays as it is. Whether it was sent is not
// checked: the sender does that.
func (m *Mails) AddDue(ctx context.Context, id order.ID, kind order.MailKind) error {
	return m.AddAllDue(ctx, kind, []order.ID{id})
}

// AddAllDue is AddDue for many orders.
func (m *Mails) AddAllDue(ctx context.Context, kind order.MailKind, ids []order.ID) error {
	return m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error { return m.db.addDueMails(ctx, tx, kind, ids) })
}

// LeaseDue leases up to limit due mails, the longest due first. No other caller gets them within the lease; one that is
// neither dropped nor postponed by then is due again.
func (m *Mails) LeaseDue(ctx context.Context, limit int, lease time.Duration) ([]DueMail, error) {
	var out []DueMail
	err := m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		now := time.Now()
		if out, err = m.db.lockDue(ctx, tx, now, limit); err != nil || len(out) == 0 {
			return err
		}
		for i := range out {
			out[i].Attempts++
		}
		if err := m.db.leaseDue(ctx, tx, out, micro(now.Add(lease))); err != nil {
			return err
		}
		return errors.Join(addCancelled(ctx, tx, out), addRefunds(ctx, tx, out))
	})
	if err != nil {
		return nil, fmt.Errorf("lease the mails that are due: %w", err)
	}
	return out, nil
}

// addCancelled sets the refunded amounts of the mails of cancellations.
func addCancelled(ctx context.Context, tx *ent.Client, due []DueMail) error {
	var ids []string
	for _, d := range due {
		if d.Kind == order.MailCancelled {
			ids = append(ids, string(d.OrderID))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	cancelled, err := tx.OrderCancellation.Query().Where(ordercancellation.IDIn(ids...)).All(ctx)
	if err != nil {
		return err
	}
	refunds := make(map[order.ID]order.Money, len(cancelled))
	for _, c := range cancelled {
		refunds[order.ID(c.ID)] = money(c.RefundAmount, c.RefundCurrency)
	}
	for i, d := range due {
		if d.Kind == order.MailCancelled {
			due[i].Refund = refunds[d.OrderID]
		}
	}
	return nil
}

// addRefunds sets the amounts of the mails of refunds.
func addRefunds(ctx context.Context, tx *ent.Client, due []DueMail) error {
	var ids []string
	for _, d := range due {
		if id, ok := d.Kind.RefundID(); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	refunds, err := tx.Refund.Query().Where(refund.IDIn(ids...)).All(ctx)
	if err != nil {
		return err
	}
	for _, r := range refunds {
		for i := range due {
			if due[i].Kind == order.RefundMail(r.ID) {
				due[i].Refund = money(r.Amount, r.Currency)
			}
		}
	}
	return nil
}
