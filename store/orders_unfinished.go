package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	entorder "github.com/spillway/spillway/ent/order"
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
		var counts []struct {
			State order.State `sql:"state"`
			Count int         `sql:"count"`
		}
		err = o.db.ent.Order.Query().Where(entorder.StateIn(int8(order.Pending), int8(order.Paid), int8(order.ShipFailed))).
			GroupBy(entorder.FieldState).Aggregate(ent.As(ent.Count(), "count")).Scan(ctx, &counts)
		for _, c := range counts {
			*map[order.State]*int{order.Pending: &u.Pending, order.Paid: &u.Paid, order.ShipFailed: &u.ShipFailed}[c.State] = c.Count
		}
		if err == nil {
			u.MailsDue, err = o.db.ent.DueMail.Query().Count(ctx)
		}
		if err == nil {
			u.DeadLetters, err = o.db.ent.DeadLetter.Query().Where(deadletter.Status(DeadLetterOpen)).Count(ctx)
		}
		if err != nil {
			return u, fmt.Errorf("count what is unfinished: %w", err)
		}
		return u, nil
	})
}
