package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// Due reads up to limit cancellations that are unfinished and due, oldest first.
func (c *Cancellations) Due(ctx context.Context, now time.Time, limit int) ([]Cancellation, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]Cancellation, error) {
		if err := c.db.markReturned(ctx); err != nil {
			return nil, fmt.Errorf("note returned units: %w", err)
		}
		found, err := c.db.ent.OrderCancellation.Query().
			Where(ordercancellation.FinishedAtIsNil(), ordercancellation.NextTryAtLTE(micro(now))).
			Order(ordercancellation.ByNextTryAt()).Limit(limit).All(ctx)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		customers, err := c.customers(ctx, found)
		if err != nil {
			return nil, err
		}
		out := make([]Cancellation, len(found))
		for i, f := range found {
			if out[i], err = toCancellation(f, customers[f.ID]); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// customers returns who placed the orders of the cancellations, by the order; orders without a row are absent.
func (c *Cancellations) customers(ctx context.Context, of []*ent.OrderCancellation) (map[string]string, error) {
	ids := convert(of, func(x *ent.OrderCancellation) string { return x.ID })
	rows, err := c.db.ent.Order.Query().Where(entorder.IDIn(ids...)).Select(entorder.FieldID, entorder.FieldCustomerID).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the customers of cancellations: %w", err)
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.ID] = r.CustomerID
	}
	return out, nil
}

func toCancellation(f *ent.OrderCancellation, customer string) (Cancellation, error) {
	units, err := order.ParseDeltas(f.Units)
	if err != nil {
		return Cancellation{}, fmt.Errorf("cancellation of %s: %w", f.ID, err)
	}
	return Cancellation{
		OrderID: order.ID(f.ID), Customer: order.CustomerID(customer), Reason: toReason(f.CancelCode, f.DuplicateOf, f.DeclineCode, f.Reason),
		Actor: f.Actor, Units: units, Refund: money(f.RefundAmount, f.RefundCurrency), Attempts: f.Attempts,
		Refunded: f.RefundedAt != nil, Restocked: f.RestockedAt != nil, CreatedAt: f.CreatedAt.UTC(),
	}, nil
}

// EnsureCancelled makes sure that the order of a cancellation is CANCELLED, if it has a row: one that was declared lost may have turned up in the
// very moment. When it is beyond cancelling, the cancellation is deleted, and cancelled is false.
func (c *Cancellations) EnsureCancelled(ctx context.Context, x Cancellation) (cancelled bool, err error) {
	err = c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		from := []order.State{order.Pending, order.Paid, order.ShipFailed}
		_, err := c.db.cancel(ctx, tx, x.OrderID, from, x.Reason, x.Actor)
		cancelled = err == nil || errors.Is(err, order.ErrNotFound)
		switch {
		case cancelled:
			return nil
		case errors.Is(err, order.ErrFailedPrecondition):
			_, err = tx.OrderCancellation.Delete().Where(ordercancellation.ID(string(x.OrderID)), ordercancellation.RefundedAtIsNil()).Exec(ctx)
		}
		return err
	})
	return cancelled, err
}

// Refunded notes what was given back. What Charges.BookLateCharge noted meanwhile is more, and stays.
func (c *Cancellations) Refunded(ctx context.Context, id order.ID, amount order.Money) error {
	return c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		open := []predicate.OrderCancellation{ordercancellation.ID(string(id)), ordercancellation.RefundedAtIsNil()}
		held, err := locked(c.db, tx.OrderCancellation.Query().Where(open...)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		done := tx.OrderCancellation.Update().Where(open...).SetRefundedAt(micro(time.Now()))
		if held.RefundAmount <= int64(amount.Amount) {
			done.SetRefundAmount(int64(amount.Amount)).SetRefundCurrency(string(amount.Currency))
		}
		return done.Exec(ctx)
	})
}

// Defer schedules the next attempt at a cancellation; failed counts this one.
func (c *Cancellations) Defer(ctx context.Context, id order.ID, at time.Time, failed bool) error {
	n := 0
	if failed {
		n = 1
	}
	return c.db.call(ctx, func(ctx context.Context) error {
		return c.db.ent.OrderCancellation.Update().Where(ordercancellation.ID(string(id)), ordercancellation.FinishedAtIsNil()).
			SetNextTryAt(micro(at)).AddAttempts(n).Exec(ctx)
	})
}

// Finish closes a cancellation of which both halves are done, and makes its mail due if something was refunded, in one transaction. It returns
// whether it did. An order that was never paid causes no mail, and one that was lost before it had a row has no address.
func (c *Cancellations) Finish(ctx context.Context, id order.ID) (finished bool, err error) {
	err = c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		err := expectOneRow(errNotDone)(tx.OrderCancellation.Update().
			Where(ordercancellation.ID(string(id)), ordercancellation.FinishedAtIsNil(), ordercancellation.RefundedAtNotNil(), ordercancellation.RestockedAtNotNil()).
			SetFinishedAt(micro(time.Now())).Save(ctx))
		if finished = err == nil; !finished {
			return err
		}
		refunded, err := tx.OrderCancellation.Query().Where(ordercancellation.ID(string(id)), ordercancellation.RefundAmountGT(0)).Exist(ctx)
		if err != nil || !refunded {
			return err
		}
		withRow, err := tx.Order.Query().Where(entorder.ID(string(id))).IDs(ctx)
		if err != nil {
			return err
		}
		return c.db.addDueMails(ctx, tx, order.MailCancelled, named[order.ID](withRow))
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
	err := tx.OrderCancellation.Update().Where(ordercancellation.RestockedAtIsNil(), ordercancellation.IDIn(texts(ids)...)).
		SetRestockedAt(micro(time.Now())).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note %d orders as restocked: %w", len(ids), err)
	}
	return nil
}

// markReturned notes in unfinished cancellations that their units are back, where that was recorded while they were written.
func (db *DB) markReturned(ctx context.Context) error {
	return db.ent.OrderCancellation.Update().Where(ordercancellation.FinishedAtIsNil(), ordercancellation.RestockedAtIsNil(), unitsReturned).
		SetRestockedAt(micro(time.Now())).Exec(ctx)
}
