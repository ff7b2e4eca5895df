package store

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// Mails remembers which mails were sent.
type Mails struct{ db *DB }

// NewMails makes the repository.
func NewMails(db *DB) *Mails { return &Mails{db: db} }

// Sent says whether the order's mail of the kind was sent.
func (m *Mails) Sent(ctx context.Context, id order.ID, kind string) (bool, error) {
	var n int
	err := m.db.call(ctx, func(ctx context.Context) error {
		return m.db.sql.QueryRowContext(ctx, "SELECT COUNT(*) FROM sent_mails WHERE order_id = ? AND kind = ?", id, kind).Scan(&n)
	})
	return n > 0, err
}

// MarkSent remembers that it was; a second time does nothing.
func (m *Mails) MarkSent(ctx context.Context, id order.ID, kind string) error {
	return m.db.call(ctx, func(ctx context.Context) error {
		_, err := m.db.sql.ExecContext(ctx, "INSERT INTO sent_mails (order_id, kind, sent_at) VALUES (?,?,?)", id, kind, micro(time.Now()))
		if isDuplicate(err) {
			return nil
		}
		return err
	})
}
