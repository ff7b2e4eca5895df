package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/charge"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// refundGrace is how long the caller that wrote a refund has to have it confirmed before the refund worker does: longer than its call may take.
const refundGrace = 10 * time.Second

func toRefund(f *ent.Refund) order.Refund {
	out := order.Refund{
		RefundID: f.ID, OrderID: order.ID(f.OrderID), Amount: money(f.Amount, f.Currency), Reason: f.Reason, Actor: f.Actor,
		CreatedAt: f.CreatedAt.UTC(), Attempts: f.Attempts,
	}
	if f.RequestKey != nil {
		out.Key = *f.RequestKey
	}
	if f.ConfirmedAt != nil {
		out.ConfirmedAt = f.ConfirmedAt.UTC()
	}
	return out
}

// Refund books that what is left of the charge is to be given back, once: again, it returns the last refund. The charge is
// REFUNDING until the provider has confirmed all refunds of it, which ConfirmRefund notes. order.ErrFailedPrecondition when nothing was taken.
func (c *Charges) Refund(ctx context.Context, id order.ID, refundID, reason string) (order.Refund, order.Charge, error) {
	var out order.Refund
	var ch order.Charge
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		if ch, err = c.db.lockCharge(ctx, tx, id); err != nil {
			return err
		}
		switch ch.State {
		case order.ChargeRefunding, order.ChargeRefunded:
			out, err = lastRefund(ctx, tx, id)
			return err
		case order.ChargeSucceeded:
		default:
			return fmt.Errorf("nothing was taken for order %s: %w", id, order.ErrFailedPrecondition)
		}
		booked, err := bookedRefunds(ctx, tx, id)
		if err != nil {
			return err
		}
		out = order.Refund{RefundID: refundID, OrderID: id, Amount: order.Money{Currency: ch.Amount.Currency, Amount: ch.Amount.Amount - booked}, Reason: reason}
		return c.bookRefund(ctx, tx, &ch, &out)
	})
	return out, ch, err
}

// BookLateCharge records that the provider took money for an order with a voided or declined charge, and that it is to be given back. Again,
// it returns the last refund. order.ErrFailedPrecondition when the charge stands.
func (c *Charges) BookLateCharge(ctx context.Context, id order.ID, amount order.Money, refundID, reason string) (order.Refund, order.Charge, error) {
	var out order.Refund
	var ch order.Charge
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		if ch, err = c.db.lockCharge(ctx, tx, id); err != nil {
			return err
		}
		switch ch.State {
		case order.ChargeRefunding, order.ChargeRefunded:
			out, err = lastRefund(ctx, tx, id)
			return err
		case order.ChargeVoided, order.ChargeDeclined:
		default:
			return fmt.Errorf("the charge of order %s is not forbidden: %w", id, order.ErrFailedPrecondition)
		}
		ch.Amount = amount
		out = order.Refund{RefundID: refundID, OrderID: id, Amount: amount, Reason: reason}
		if err := c.bookRefund(ctx, tx, &ch, &out); err != nil {
			return err
		}
		// A cancellation that was finished before has a refund of nothing.
		return tx.OrderCancellation.Update().Where(ordercancellation.ID(string(id))).
			SetRefundAmount(int64(amount.Amount)).SetRefundCurrency(string(amount.Currency)).Exec(ctx)
	})
	return out, ch, err
}

// bookRefund writes a refund of everything that is left, and makes its charge REFUNDING.
func (c *Charges) bookRefund(ctx context.Context, tx *ent.Client, ch *order.Charge, r *order.Refund) error {
	now := micro(c.now())
	ch.State, ch.UpdatedAt = order.ChargeRefunding, now
	err := tx.Charge.Update().Where(charge.ID(string(ch.OrderID))).SetState(int8(ch.State)).SetAmount(int64(ch.Amount.Amount)).
		SetCurrency(string(ch.Amount.Currency)).SetUpdatedAt(now).ClearRecheckAt().Exec(ctx)
	if err != nil {
		return fmt.Errorf("book the refund of %s: %w", ch.OrderID, err)
	}
	return insertRefund(ctx, tx, r, now)
}

func insertRefund(ctx context.Context, tx *ent.Client, r *order.Refund, now time.Time) error {
	r.Reason, r.CreatedAt = truncate(r.Reason, maxRefundReason), now
	row := tx.Refund.Create().SetID(r.RefundID).SetOrderID(string(r.OrderID)).SetAmount(int64(r.Amount.Amount)).SetCurrency(string(r.Amount.Currency)).
		SetReason(r.Reason).SetActor(truncate(r.Actor, maxActor)).SetCreatedAt(now).SetAttempts(0).SetNextTryAt(now.Add(refundGrace))
	if r.Key != "" {
		row.SetRequestKey(r.Key)
	}
	err := row.Exec(ctx)
	if err != nil {
		return fmt.Errorf("write a refund of %s: %w", r.OrderID, err)
	}
	return nil
}

// maxRefundReason is the length of refunds.reason, in characters.
const maxRefundReason = 200

// bookedRefunds is what was or is to be given back of an order's charge, in minor units.
func bookedRefunds(ctx context.Context, tx *ent.Client, id order.ID) (order.Cents, error) {
	booked, err := tx.Refund.Query().Where(refund.OrderID(string(id))).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("sum the refunds of %s: %w", id, err)
	}
	var sum order.Cents
	for _, b := range booked {
		sum += order.Cents(b.Amount)
	}
	return sum, nil
}

func lastRefund(ctx context.Context, tx *ent.Client, id order.ID) (order.Refund, error) {
	last, err := tx.Refund.Query().Where(refund.OrderID(string(id))).Order(ent.Desc(refund.FieldCreatedAt, refund.FieldID)).First(ctx)
	if err != nil {
		return order.Refund{}, fmt.Errorf("read the last refund of %s: %w", id, err)
	}
	return toRefund(last), nil
}

// GetRefund reads a refund; order.ErrNotFound when there is none.
func (c *Charges) GetRefund(ctx context.Context, refundID string) (order.Refund, error) {
	return fetch(ctx, c.db, func(ctx context.Context) (order.Refund, error) {
		found, err := c.db.ent.Refund.Get(ctx, refundID)
		if ent.IsNotFound(err) {
			return order.Refund{}, fmt.Errorf("refund %s: %w", refundID, order.ErrNotFound)
		}
		if err != nil {
			return order.Refund{}, err
		}
		return toRefund(found), nil
	})
}

// ConfirmRefund notes that the provider has given the money back, and returns the charge: REFUNDED once all of it is confirmed. The
// order's cancellation, which waits for that, becomes due. So does the mail of an operator's refund, once.
func (c *Charges) ConfirmRefund(ctx context.Context, r order.Refund) (order.Charge, error) {
	var ch order.Charge
	err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		if ch, err = c.db.lockCharge(ctx, tx, r.OrderID); err != nil {
			return err
		}
		now := micro(c.now())
		unconfirmed := []predicate.Refund{refund.OrderID(string(r.OrderID)), refund.ConfirmedAtIsNil()}
		if err := c.confirm(ctx, tx, r, now); err != nil {
			return err
		}
		open, err := tx.Refund.Query().Where(unconfirmed...).Exist(ctx)
		if err != nil || open || ch.State != order.ChargeRefunding {
			return err
		}
		ch.State, ch.UpdatedAt = order.ChargeRefunded, now
		if err := tx.Charge.Update().Where(charge.ID(string(r.OrderID))).SetState(int8(ch.State)).SetUpdatedAt(now).Exec(ctx); err != nil {
			return err
		}
		return tx.OrderCancellation.Update().Where(ordercancellation.ID(string(r.OrderID)), ordercancellation.FinishedAtIsNil()).SetNextTryAt(now).Exec(ctx)
	})
	if err != nil {
		return ch, fmt.Errorf("confirm refund %s: %w", r.RefundID, err)
	}
	return ch, nil
}

// confirm sets the time of a refund's confirmation, and makes its mail due if an operator requested it. The mail of a cancellation announces
// the refund of that.
func (c *Charges) confirm(ctx context.Context, tx *ent.Client, r order.Refund, now time.Time) error {
	err := expectOneRow(errConfirmed)(tx.Refund.Update().Where(refund.ID(r.RefundID), refund.ConfirmedAtIsNil()).SetConfirmedAt(now).Save(ctx))
	if errors.Is(err, errConfirmed) {
		return nil
	}
	if err != nil || r.Key == "" {
		return err
	}
	return c.db.addDueMails(ctx, tx, order.RefundMail(r.RefundID), []order.ID{r.OrderID})
}

var errConfirmed = errors.New("the refund is confirmed already")

// OpenRefunds reads the refunds of an order that the provider has not confirmed.
func (c *Charges) OpenRefunds(ctx context.Context, id order.ID) ([]order.Refund, error) {
	return c.refunds(ctx, c.db.ent.Refund.Query().Where(refund.OrderID(string(id)), refund.ConfirmedAtIsNil()).Order(refund.ByID()))
}

func (c *Charges) refunds(ctx context.Context, q *ent.RefundQuery) ([]order.Refund, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Refund, error) {
		found, err := q.All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read refunds: %w", err)
		}
		return convert(found, toRefund), nil
	})
}

// DueRefunds reads up to limit unconfirmed refunds that are due, the longest due first.
func (c *Charges) DueRefunds(ctx context.Context, now time.Time, limit int) ([]order.Refund, error) {
	return c.refunds(ctx, c.db.ent.Refund.Query().Where(refund.ConfirmedAtIsNil(), refund.NextTryAtLTE(micro(now))).
		Order(refund.ByNextTryAt(), refund.ByID()).Limit(limit))
}

// DeferRefund counts a failed attempt and schedules the next one.
func (c *Charges) DeferRefund(ctx context.Context, refundID string, at time.Time) error {
	return c.db.call(ctx, func(ctx context.Context) error {
		return c.db.ent.Refund.Update().Where(refund.ID(refundID), refund.ConfirmedAtIsNil()).AddAttempts(1).SetNextTryAt(micro(at)).Exec(ctx)
	})
}
