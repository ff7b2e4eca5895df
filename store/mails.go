package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/sentmail"
	"github.com/spillway/spillway/order"
)

// Mails remembers which mails were sent, and which are due.
type Mails struct{ db *DB }

// NewMails makes the repository.
func NewMails(db *DB) *Mails { return &Mails{db: db} }

// Sent returns those of the mails that were sent, with one statement.
func (m *Mails) Sent(ctx context.Context, mails []order.MailID) (map[order.MailID]bool, error) {
	if len(mails) == 0 {
		return nil, nil //nolint:nilnil // An empty map.
	}
	ids := make([]string, 0, len(mails))
	for _, mail := range mails {
		ids = append(ids, string(mail.OrderID))
	}
	slices.Sort(ids)
	// The other mails of the orders come along: an order has few, and tuples would not use ent.
	rows, err := fetch(ctx, m.db, func(ctx context.Context) ([]*ent.SentMail, error) {
		return m.db.ent.SentMail.Query().Where(sentmail.OrderIDIn(slices.Compact(ids)...)).Select(sentmail.FieldOrderID, sentmail.FieldKind).All(ctx)
	})
	if err != nil {
		return nil, err
	}
	out := make(map[order.MailID]bool, len(rows))
	for _, row := range rows {
		out[order.MailID{OrderID: order.ID(row.OrderID), Kind: order.MailKind(row.Kind)}] = true
	}
	return out, nil
}

// MarkSent records that the mails were sent, with one statement. It leaves mails that are recorded already as they are.
func (m *Mails) MarkSent(ctx context.Context, mails []order.MailID) error {
	if len(mails) == 0 {
		return nil
	}
	// One order of the rows prevents deadlocks with another batch.
	mails = slices.SortedFunc(slices.Values(mails), func(a, b order.MailID) int {
		return cmp.Or(cmp.Compare(a.OrderID, b.OrderID), cmp.Compare(a.Kind, b.Kind))
	})
	now := micro(time.Now())
	return m.db.retry(ctx, func(ctx context.Context) error {
		rows := make([]*ent.SentMailCreate, len(mails))
		for i, mail := range mails {
			rows[i] = m.db.ent.SentMail.Create().SetOrderID(string(mail.OrderID)).SetKind(string(mail.Kind)).SetSentAt(now)
		}
		return m.db.ent.SentMail.CreateBulk(rows...).OnConflict(onConflictDoNothing(sentmail.FieldOrderID, sentmail.FieldKind)...).Exec(ctx)
	})
}
