package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// The statements of this file read and write a batch of mails. They are SQL and not ent's builders, which make a mutation and a node for each mail:
// the INSERT took five times the allocations with them.

// sentOf reads which of the mails were sent. The other mails of their orders come along: an order has few, and the index holds them side by side.
func (db *DB) sentOf(ctx context.Context, mails []order.MailID) (map[order.MailID]bool, error) {
	ids := make([]any, len(mails))
	for i, mail := range mails {
		ids[i] = string(mail.OrderID)
	}
	out := make(map[order.MailID]bool)
	err := each(ctx, db.sql, fmt.Sprintf("which of %d mails were sent", len(mails)), func(s scanner) error {
		var id order.MailID
		err := s.Scan(&id.OrderID, &id.Kind)
		out[id] = true
		return err
	}, "SELECT order_id, kind FROM sent_mails WHERE order_id IN ("+placeholders(len(ids))+")", ids...)
	return out, err
}

// countTo counts the mails of each recipient. The index holds those of one side by side, and mails that were skipped have no recipient.
func (db *DB) countTo(ctx context.Context, recipients []order.Recipient, since time.Time) (map[order.Recipient]int, error) {
	args := make([]any, 0, len(recipients)+1)
	for _, r := range recipients {
		args = append(args, string(r))
	}
	out := make(map[order.Recipient]int)
	err := each(ctx, db.sql, fmt.Sprintf("how many mails %d recipients got", len(recipients)), func(s scanner) error {
		var r order.Recipient
		var n int
		err := s.Scan(&r, &n)
		out[r] = n
		return err
	}, "SELECT recipient, COUNT(*) FROM sent_mails WHERE recipient IN ("+placeholders(len(recipients))+") AND sent_at > ? GROUP BY recipient", append(args, since)...)
	return out, err
}

// insertSent writes the mails, without those that have a row.
func (db *DB) insertSent(ctx context.Context, mails []order.SentMail, at time.Time) error {
	args := make([]any, 0, 5*len(mails))
	for _, mail := range mails {
		args = append(args, string(mail.OrderID), string(mail.Kind), at, string(mail.Recipient), string(mail.Skipped))
	}
	_, err := db.sql.ExecContext(ctx, "INSERT INTO sent_mails (order_id, kind, sent_at, recipient, skipped) VALUES "+tuples(len(mails), "(?,?,?,?,?)")+
		db.onConflictDoNothingSQL("sent_mails", "order_id", "kind"), args...)
	if err != nil {
		return fmt.Errorf("record %d sent mails: %w", len(mails), err)
	}
	return nil
}
