package store

import (
	"cmp"
	"context"
	"slices"
	"time"

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
	return fetch(ctx, m.db, func(ctx context.Context) (map[order.MailID]bool, error) { return m.db.sentOf(ctx, mails) })
}

// CountTo returns how many mails were sent to each of the recipients since then, with one statement.
func (m *Mails) CountTo(ctx context.Context, recipients []order.Recipient, since time.Time) (map[order.Recipient]int, error) {
	if len(recipients) == 0 {
		return nil, nil //nolint:nilnil // An empty map.
	}
	return fetch(ctx, m.db, func(ctx context.Context) (map[order.Recipient]int, error) {
		return m.db.countTo(ctx, recipients, micro(since))
	})
}

// MarkSent records that the mails were sent, or are skipped, with one statement. It leaves mails that are recorded already as they are.
func (m *Mails) MarkSent(ctx context.Context, mails []order.SentMail) error {
	if len(mails) == 0 {
		return nil
	}
	// One order of the rows prevents deadlocks with another batch.
	mails = slices.SortedFunc(slices.Values(mails), func(a, b order.SentMail) int {
		return cmp.Or(cmp.Compare(a.OrderID, b.OrderID), cmp.Compare(a.Kind, b.Kind))
	})
	now := micro(time.Now())
	return m.db.retry(ctx, func(ctx context.Context) error { return m.db.insertSent(ctx, mails, now) })
}
