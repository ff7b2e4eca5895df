package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Mails remembers which mails were sent, and which are due.
type Mails struct{ db *DB }

// NewMails makes the repository.
func NewMails(db *DB) *Mails { return &Mails{db: db} }

// Sent says whether the order's mail of the kind was sent.
func (m *Mails) Sent(ctx context.Context, id order.ID, kind order.MailKind) (bool, error) {
	var n int
	err := m.db.call(ctx, func(ctx context.Context) error {
		return queryRow(ctx, m.db.ent, "SELECT COUNT(*) FROM sent_mails WHERE order_id = ? AND kind = ?", id, kind).Scan(&n)
	})
	return n > 0, err
}

// MarkSent remembers that it was; a second time does nothing.
func (m *Mails) MarkSent(ctx context.Context, id order.ID, kind order.MailKind) error {
	return m.db.call(ctx, func(ctx context.Context) error {
		_, err := m.db.ent.ExecContext(ctx, "INSERT INTO sent_mails (order_id, kind, sent_at) VALUES (?,?,?)", id, kind, micro(time.Now()))
		if isDuplicate(err) {
			return nil
		}
		return err
	})
}

// DueMail is a mail that is to be sent.
type DueMail struct {
	ID      int64
	OrderID order.ID
	Kind    order.MailKind
	// Attempts is how often it was tried, the attempt for which it was taken included.
	Attempts int
	// Refund is what the refund of the kind, or else the order's cancellation, gave back; zero when there is none, or nothing had been taken.
	Refund order.Money
}

// AddDue notes that the order's mail of the kind is to be sent; one that is due already stays as it is. Whether it was sent is not
// looked at: the sender knows.
func (m *Mails) AddDue(ctx context.Context, id order.ID, kind order.MailKind) error {
	return m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		return m.db.addDueMails(ctx, tx, kind, []order.ID{id})
	})
}

// addDueMails writes them in the transaction of what they tell.
func (db *DB) addDueMails(ctx context.Context, tx *ent.Client, kind order.MailKind, ids []order.ID) error {
	if len(ids) == 0 {
		return nil
	}
	now := micro(time.Now())
	args := make([]any, 0, 4*len(ids))
	for _, id := range ids {
		args = append(args, id, kind, now, now)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO due_mails (order_id, kind, attempts, next_try_at, created_at) VALUES "+tuples(len(ids), "(?,?,0,?,?)")+
		db.orLeave("due_mails", "order_id", "kind"), args...); err != nil {
		return fmt.Errorf("note %d mails as due: %w", len(ids), err)
	}
	return nil
}

// TakeDue takes up to limit mails whose time has come, the longest due first. Nobody else is given them within the lease; one that is
// neither done nor postponed by then is due again.
func (m *Mails) TakeDue(ctx context.Context, limit int, lease time.Duration) ([]DueMail, error) {
	var out []DueMail
	err := m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		now := time.Now()
		if out, err = m.due(ctx, tx, now, limit); err != nil || len(out) == 0 {
			return err
		}
		args := []any{micro(now.Add(lease))}
		for i := range out {
			args = append(args, out[i].ID)
			out[i].Attempts++
		}
		_, err = tx.ExecContext(ctx, "UPDATE due_mails SET attempts = attempts + 1, next_try_at = ? WHERE id IN ("+marks(len(out))+")", args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("take the mails that are due: %w", err)
	}
	return out, nil
}

func (m *Mails) due(ctx context.Context, tx *ent.Client, now time.Time, limit int) ([]DueMail, error) {
	query := "SELECT d.id, d.order_id, d.kind, d.attempts, COALESCE(c.refund_amount, 0), COALESCE(c.refund_currency, '') FROM due_mails d " +
		"LEFT JOIN order_cancellations c ON c.order_id = d.order_id WHERE d.next_try_at <= ? ORDER BY d.next_try_at LIMIT ?"
	if m.db.isMySQL() {
		query += " FOR UPDATE OF d SKIP LOCKED"
	}
	out, err := collect(ctx, tx, "due mails", func(r scanner) (d DueMail, err error) {
		err = r.Scan(&d.ID, &d.OrderID, &d.Kind, &d.Attempts, &d.Refund.Amount, &d.Refund.Currency)
		return d, err
	}, query, micro(now), limit)
	if err != nil {
		return nil, err
	}
	return out, addRefunds(ctx, tx, out)
}

// addRefunds sets the amounts of the mails of refunds.
func addRefunds(ctx context.Context, tx *ent.Client, due []DueMail) error {
	var ids []any
	for _, d := range due {
		if id, ok := d.Kind.RefundID(); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	refunds, err := collect(ctx, tx, "refunds", scanRefund, "SELECT "+refundColumns+" FROM refunds WHERE refund_id IN ("+marks(len(ids))+")", ids...)
	if err != nil {
		return err
	}
	for _, r := range refunds {
		for i := range due {
			if due[i].Kind == order.RefundMail(r.RefundID) {
				due[i].Refund = r.Amount
			}
		}
	}
	return nil
}

// DropDue forgets mails that were sent.
func (m *Mails) DropDue(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return m.db.call(ctx, func(ctx context.Context) error {
		_, err := m.db.ent.ExecContext(ctx, "DELETE FROM due_mails WHERE id IN ("+marks(len(ids))+")", anys(slices.Sorted(slices.Values(ids)))...)
		return err
	})
}

// PostponeDue lets a mail be due again at that time.
func (m *Mails) PostponeDue(ctx context.Context, id int64, until time.Time) error {
	return m.db.call(ctx, func(ctx context.Context) error {
		_, err := m.db.ent.ExecContext(ctx, "UPDATE due_mails SET next_try_at = ? WHERE id = ?", micro(until), id)
		return err
	})
}

// BuryDue makes a dead letter of a mail that is no longer due, in one transaction.
func (m *Mails) BuryDue(ctx context.Context, id int64, f FailedOrder) error {
	return m.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if err := m.db.putFailed(ctx, tx, f); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM due_mails WHERE id = ?", id)
		return err
	})
}
