package store

import (
	"context"
	"slices"

	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/duemail"
	"github.com/spillway/spillway/ent/sentmail"
	"github.com/spillway/spillway/order"
)

// Unsent returns those of the orders for which a mail of the kind was neither sent, nor is due, nor is a dead letter. deadKeys are the dedup
// keys that such dead letters have.
func (m *Mails) Unsent(ctx context.Context, kind order.MailKind, ids []order.ID, deadKeys []string) ([]order.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	known, err := fetch(ctx, m.db, func(ctx context.Context) ([]string, error) { return m.known(ctx, kind, ids, deadKeys) })
	if err != nil {
		return nil, err
	}
	seen := make(map[order.ID]bool, len(known))
	for _, id := range known {
		seen[order.ID(id)] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id order.ID) bool { return seen[id] }), nil
}

// known are those of the orders with a row for their mail. The due mails come first: a mail is written as sent or as a dead letter before
// it is no longer due.
func (m *Mails) known(ctx context.Context, kind order.MailKind, ids []order.ID, deadKeys []string) ([]string, error) {
	due, err := m.db.ent.DueMail.Query().Where(duemail.Kind(string(kind)), duemail.OrderIDIn(texts(ids)...)).Select(duemail.FieldOrderID).Strings(ctx)
	if err != nil {
		return nil, err
	}
	sent, err := m.db.ent.SentMail.Query().Where(sentmail.Kind(string(kind)), sentmail.OrderIDIn(texts(ids)...)).Select(sentmail.FieldOrderID).Strings(ctx)
	if err != nil || len(deadKeys) == 0 {
		return slices.Concat(due, sent), err
	}
	dead, err := m.db.ent.DeadLetter.Query().Where(deadletter.DedupKeyIn(deadKeys...)).Select(deadletter.FieldOrderID).Strings(ctx)
	return slices.Concat(due, sent, dead), err
}

// CountDue returns how many mails are due, up to limit.
func (m *Mails) CountDue(ctx context.Context, limit int) (int, error) {
	return fetch(ctx, m.db, func(ctx context.Context) (int, error) {
		ids, err := m.db.ent.DueMail.Query().Limit(limit).IDs(ctx)
		return len(ids), err
	})
}
