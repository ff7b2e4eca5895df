package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/order"
)

// Unfinished is the number of orders and mails that are not at their end.
type Unfinished struct {
	// Pending, Paid and ShipFailed are orders in these states.
	Pending, Paid, ShipFailed int
	// MailsDue are mails that are to be sent, DeadLetters those that wait for an operator.
	MailsDue, DeadLetters int
}

// Unfinished counts what is not at its end.
func (o *Orders) Unfinished(ctx context.Context) (Unfinished, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (u Unfinished, err error) {
		counts := map[order.State]*int{order.Pending: &u.Pending, order.Paid: &u.Paid, order.ShipFailed: &u.ShipFailed}
		err = each(ctx, o.db.ent, "the number of unfinished orders", func(r scanner) error {
			var state order.State
			var n int
			err := r.Scan(&state, &n)
			*counts[state] = n
			return err
		}, "SELECT state, COUNT(*) FROM orders WHERE state IN (?,?,?) GROUP BY state", order.Pending, order.Paid, order.ShipFailed)
		if err == nil {
			err = queryRow(ctx, o.db.ent, "SELECT (SELECT COUNT(*) FROM due_mails), (SELECT COUNT(*) FROM failed_orders WHERE status = ?)",
				LetterOpen).Scan(&u.MailsDue, &u.DeadLetters)
		}
		if err != nil {
			return u, fmt.Errorf("count what is unfinished: %w", err)
		}
		return u, nil
	})
}
