package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Due reads up to limit intents that are not finished and whose time has come, oldest first.
func (c *Cancellations) Due(ctx context.Context, now time.Time, limit int) ([]Cancellation, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]Cancellation, error) {
		if err := c.db.markReturned(ctx); err != nil {
			return nil, fmt.Errorf("note returned units: %w", err)
		}
		return collect(ctx, c.db.ent, "cancellations", scanCancellation,
			"SELECT c.order_id, COALESCE(o.customer_id, ''), c.actor, c.units, c.refund_amount, c.refund_currency, c.attempts, c.created_at, "+
				"c.refunded_at, c.restocked_at, "+prefixed("c", reasonColumns)+", c.reason FROM order_cancellations c LEFT JOIN orders o ON o.id = c.order_id "+
				"WHERE c.finished_at IS NULL AND c.next_try_at <= ? ORDER BY c.next_try_at LIMIT ?", micro(now), limit)
	})
}

func scanCancellation(r scanner) (x Cancellation, err error) {
	var units string
	var refunded, restocked sql.NullTime
	fields := []any{&x.OrderID, &x.Customer, &x.Actor, &units, &x.Refund.Amount, &x.Refund.Currency, &x.Attempts, &x.CreatedAt, &refunded, &restocked}
	err = r.Scan(append(fields, reasonFields(&x.Reason)...)...)
	if err != nil {
		return x, err
	}
	if x.Units, err = order.ParseDeltas(units); err != nil {
		return x, fmt.Errorf("cancellation of %s: %w", x.OrderID, err)
	}
	x.Reason = withCode(x.Reason)
	x.Refunded, x.Restocked, x.CreatedAt = refunded.Valid, restocked.Valid, x.CreatedAt.UTC()
	return x, nil
}

// Adopt makes sure that the order of an intent is CANCELLED, if it has a row: one that was declared lost may have turned up in the
// very moment. When it is beyond cancelling, the intent goes, and adopted is false.
func (c *Cancellations) Adopt(ctx context.Context, x Cancellation) (adopted bool, err error) {
	err = c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		from := []order.State{order.Pending, order.Paid, order.ShipFailed}
		_, err := c.db.cancel(ctx, tx, x.OrderID, from, x.Reason, x.Actor)
		adopted = err == nil || errors.Is(err, order.ErrNotFound)
		switch {
		case adopted:
			return nil
		case errors.Is(err, order.ErrFailedPrecondition):
			_, err = tx.ExecContext(ctx, "DELETE FROM order_cancellations WHERE order_id = ? AND refunded_at IS NULL", x.OrderID)
		}
		return err
	})
	return adopted, err
}

// Refunded notes what was given back. What Charges.TookLate noted meanwhile is more, and stays.
func (c *Cancellations) Refunded(ctx context.Context, id order.ID, amount order.Money) error {
	return c.db.call(ctx, func(ctx context.Context) error {
		// The currency comes first: MySQL assigns from left to right.
		_, err := c.db.ent.ExecContext(ctx, "UPDATE order_cancellations SET refunded_at = ?, refund_currency = CASE WHEN refund_amount > ? THEN refund_currency ELSE ? END, "+
			"refund_amount = CASE WHEN refund_amount > ? THEN refund_amount ELSE ? END WHERE order_id = ? AND refunded_at IS NULL",
			micro(time.Now()), amount.Amount, amount.Currency, amount.Amount, amount.Amount, id)
		return err
	})
}

// Later puts an intent off; failed counts the attempt.
func (c *Cancellations) Later(ctx context.Context, id order.ID, at time.Time, failed bool) error {
	n := 0
	if failed {
		n = 1
	}
	return c.db.call(ctx, func(ctx context.Context) error {
		_, err := c.db.ent.ExecContext(ctx, "UPDATE order_cancellations SET next_try_at = ?, attempts = attempts + ? WHERE order_id = ? AND finished_at IS NULL",
			micro(at), n, id)
		return err
	})
}

// Finish closes an intent of which both halves are done, and makes its mail due if something was refunded, in one transaction. It says
// whether that was so. An order that was never paid causes no mail, and one that was lost before it had a row has no address.
func (c *Cancellations) Finish(ctx context.Context, id order.ID) (finished bool, err error) {
	err = c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		err := one(errNotDone)(tx.ExecContext(ctx, "UPDATE order_cancellations SET finished_at = ? WHERE order_id = ? AND finished_at IS NULL "+
			"AND refunded_at IS NOT NULL AND restocked_at IS NOT NULL", micro(time.Now()), id))
		if finished = err == nil; !finished {
			return err
		}
		withRow, err := collect(ctx, tx, "the order", scanValue[order.ID],
			"SELECT o.id FROM orders o JOIN order_cancellations c ON c.order_id = o.id WHERE o.id = ? AND c.refund_amount > 0", id)
		if err != nil {
			return err
		}
		return addDueMails(ctx, tx, order.MailCancelled, withRow)
	})
	if errors.Is(err, errNotDone) {
		return false, nil
	}
	return finished, err
}

var errNotDone = errors.New("the cancellation is not done")

// markRestocked notes in the cancellations of the orders, where they have one, that their units are back. It is called in the
// transaction that gives the units back.
func markRestocked(ctx context.Context, tx *ent.Client, ids []order.ID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE order_cancellations SET restocked_at = ? WHERE restocked_at IS NULL AND order_id IN ("+marks(len(ids))+")",
		append([]any{micro(time.Now())}, anys(ids)...)...)
	if err != nil {
		return fmt.Errorf("note %d orders as restocked: %w", len(ids), err)
	}
	return nil
}

// markReturned notes in unfinished cancellations that their units are back, where that was recorded while they were written.
func (db *DB) markReturned(ctx context.Context) error {
	_, err := db.ent.ExecContext(ctx, "UPDATE order_cancellations SET restocked_at = ? WHERE finished_at IS NULL AND restocked_at IS NULL "+
		"AND EXISTS (SELECT 1 FROM stock_returns r WHERE r.order_id = order_cancellations.order_id)", micro(time.Now()))
	return err
}
