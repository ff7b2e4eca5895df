package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// The statements of this file write, lease and delete batches of due mails. They are SQL and not ent's builders, which make a mutation for each
// row, and a predicate for each id. They find rows by the primary key, so that none waits for a row that another dispatcher leases.

// addDueMails writes due mails in the transaction of what they are about. It leaves those that are due already as they are.
func (db *DB) addDueMails(ctx context.Context, tx *ent.Client, kind order.MailKind, ids []order.ID) error {
	if len(ids) == 0 {
		return nil
	}
	now := any(micro(time.Now()))
	of := any(string(kind))
	args := make([]any, 0, 4*len(ids))
	for _, id := range ids {
		args = append(args, string(id), of, now, now)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO due_mails (order_id, kind, attempts, next_try_at, created_at) VALUES "+
		tuples(len(ids), "(?,?,0,?,?)")+db.onConflictDoNothingSQL("due_mails", "order_id", "kind"), args...)
	if err != nil {
		return fmt.Errorf("write %d due mails: %w", len(ids), err)
	}
	return nil
}

// lockDue reads up to limit mails that are due now, the longest due first, without those that another transaction leases.
func (db *DB) lockDue(ctx context.Context, tx *ent.Client, now time.Time, limit int) ([]DueMail, error) {
	lock := db.forUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	out := make([]DueMail, 0, limit)
	err := each(ctx, tx, "due mails", func(s scanner) error {
		var m DueMail
		var id, kind string
		err := s.Scan(&m.ID, &id, &kind, &m.Attempts)
		m.OrderID, m.Kind = order.ID(id), order.MailKind(kind)
		out = append(out, m)
		return err
	}, "SELECT id, order_id, kind, attempts FROM due_mails WHERE next_try_at <= ? ORDER BY next_try_at LIMIT ?"+lock, micro(now), limit)
	return out, err
}

// leaseDue counts an attempt of each mail and lets them be due again at that time.
func (db *DB) leaseDue(ctx context.Context, tx *ent.Client, due []DueMail, until time.Time) error {
	args := make([]any, 1, 1+len(due))
	args[0] = until
	for _, m := range due {
		args = append(args, m.ID)
	}
	_, err := tx.ExecContext(ctx, "UPDATE due_mails"+db.byPrimaryKey()+" SET attempts = attempts + 1, next_try_at = ? WHERE id IN ("+
		placeholders(len(due))+")", args...)
	if err != nil {
		return fmt.Errorf("lease %d due mails: %w", len(due), err)
	}
	return nil
}

// deleteDue deletes due mails. MySQL takes an index only in the form of DELETE for many tables.
func (db *DB) deleteDue(ctx context.Context, ids []int64) error {
	from := "DELETE FROM due_mails"
	if db.isMySQL() {
		from = "DELETE due_mails FROM due_mails" + db.byPrimaryKey()
	}
	if _, err := db.sql.ExecContext(ctx, from+" WHERE id IN ("+placeholders(len(ids))+")", anys(ids)...); err != nil {
		return fmt.Errorf("delete %d due mails: %w", len(ids), err)
	}
	return nil
}
