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

// refundGrace is how long whoever wrote a refund has to have it confirmed before the refund worker does: longer than its call may take.
const refundGrace = 10 * time.Second

const refundColumns = "refund_id, order_id, amount, currency, reason, actor, request_key, created_at, confirmed_at, attempts"

func scanRefund(r scanner) (f order.Refund, err error) {
	var key sql.NullString
	var confirmed sql.NullTime
	err = r.Scan(&f.RefundID, &f.OrderID, &f.Amount.Amount, &f.Amount.Currency, &f.Reason, &f.Actor, &key, &f.CreatedAt, &confirmed, &f.Attempts)
	f.Key, f.CreatedAt = key.String, f.CreatedAt.UTC()
	if confirmed.Valid {
		f.ConfirmedAt = confirmed.Time.UTC()
	}
	return f, err
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

// TookLate books that the provider took money for an order whose charge is voided or declined, and that it is to be given back. Again,
// it returns the last refund. order.ErrFailedPrecondition when the charge stands.
func (c *Charges) TookLate(ctx context.Context, id order.ID, amount order.Money, refundID, reason string) (order.Refund, order.Charge, error) {
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
		// A cancellation that was finished before says that nothing was given back.
		_, err = tx.ExecContext(ctx, "UPDATE order_cancellations SET refund_amount = ?, refund_currency = ? WHERE order_id = ?", amount.Amount, amount.Currency, id)
		return err
	})
	return out, ch, err
}

// bookRefund writes a refund of everything that is left, and makes its charge REFUNDING.
func (c *Charges) bookRefund(ctx context.Context, tx *ent.Client, ch *order.Charge, r *order.Refund) error {
	now := micro(c.now())
	ch.State, ch.UpdatedAt = order.ChargeRefunding, now
	_, err := tx.ExecContext(ctx, "UPDATE charges SET state = ?, amount = ?, currency = ?, updated_at = ?, recheck_at = NULL WHERE order_id = ?",
		ch.State, ch.Amount.Amount, ch.Amount.Currency, now, ch.OrderID)
	if err != nil {
		return fmt.Errorf("book the refund of %s: %w", ch.OrderID, err)
	}
	return insertRefund(ctx, tx, r, now)
}

func insertRefund(ctx context.Context, tx *ent.Client, r *order.Refund, now time.Time) error {
	r.Reason, r.CreatedAt = truncate(r.Reason, refundReasonMax), now
	_, err := tx.ExecContext(ctx, "INSERT INTO refunds ("+refundColumns+", next_try_at) VALUES (?,?,?,?,?,?,?,?,NULL,0,?)",
		r.RefundID, r.OrderID, r.Amount.Amount, r.Amount.Currency, r.Reason, truncate(r.Actor, 64), nullText(r.Key), now, now.Add(refundGrace))
	if err != nil {
		return fmt.Errorf("write a refund of %s: %w", r.OrderID, err)
	}
	return nil
}

// refundReasonMax is the length of refunds.reason, in characters.
const refundReasonMax = 200

// nullText is null for the empty text.
func nullText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// bookedRefunds is what was or is to be given back of an order's charge, in minor units.
func bookedRefunds(ctx context.Context, q querier, id order.ID) (order.Cents, error) {
	var n order.Cents
	if err := queryRow(ctx, q, "SELECT COALESCE(SUM(amount), 0) FROM refunds WHERE order_id = ?", id).Scan(&n); err != nil {
		return 0, fmt.Errorf("sum the refunds of %s: %w", id, err)
	}
	return n, nil
}

func lastRefund(ctx context.Context, q querier, id order.ID) (order.Refund, error) {
	return scanRefund(queryRow(ctx, q, "SELECT "+refundColumns+" FROM refunds WHERE order_id = ? ORDER BY created_at DESC, refund_id DESC LIMIT 1", id))
}

// GetRefund reads a refund; order.ErrNotFound when there is none.
func (c *Charges) GetRefund(ctx context.Context, refundID string) (order.Refund, error) {
	return fetch(ctx, c.db, func(ctx context.Context) (order.Refund, error) {
		r, err := scanRefund(queryRow(ctx, c.db.ent, "SELECT "+refundColumns+" FROM refunds WHERE refund_id = ?", refundID))
		if errors.Is(err, sql.ErrNoRows) {
			return order.Refund{}, fmt.Errorf("refund %s: %w", refundID, order.ErrNotFound)
		}
		return r, err
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
		if err := c.confirm(ctx, tx, r, now); err != nil {
			return err
		}
		var open int
		err = queryRow(ctx, tx, "SELECT COUNT(*) FROM refunds WHERE order_id = ? AND confirmed_at IS NULL", r.OrderID).Scan(&open)
		if err != nil || open > 0 || ch.State != order.ChargeRefunding {
			return err
		}
		ch.State, ch.UpdatedAt = order.ChargeRefunded, now
		if _, err = tx.ExecContext(ctx, "UPDATE charges SET state = ?, updated_at = ? WHERE order_id = ?", ch.State, now, r.OrderID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE order_cancellations SET next_try_at = ? WHERE order_id = ? AND finished_at IS NULL", now, r.OrderID)
		return err
	})
	if err != nil {
		return ch, fmt.Errorf("confirm refund %s: %w", r.RefundID, err)
	}
	return ch, nil
}

// confirm sets the time of a refund's confirmation, and makes its mail due if an operator requested it. The mail of a cancellation announces
// the refund of that.
func (c *Charges) confirm(ctx context.Context, tx *ent.Client, r order.Refund, now time.Time) error {
	err := one(errConfirmed)(tx.ExecContext(ctx, "UPDATE refunds SET confirmed_at = ? WHERE refund_id = ? AND confirmed_at IS NULL", now, r.RefundID))
	if errors.Is(err, errConfirmed) {
		return nil
	}
	if err != nil || r.Key == "" {
		return err
	}
	return addDueMails(ctx, tx, order.RefundMail(r.RefundID), []order.ID{r.OrderID})
}

var errConfirmed = errors.New("the refund is confirmed already")

// OpenRefunds reads the refunds of an order that the provider has not confirmed.
func (c *Charges) OpenRefunds(ctx context.Context, id order.ID) ([]order.Refund, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Refund, error) {
		return collect(ctx, c.db.ent, "refunds", scanRefund, "SELECT "+refundColumns+" FROM refunds WHERE order_id = ? AND confirmed_at IS NULL ORDER BY refund_id", id)
	})
}

// DueRefunds reads up to limit unconfirmed refunds whose time has come, the longest due first.
func (c *Charges) DueRefunds(ctx context.Context, now time.Time, limit int) ([]order.Refund, error) {
	return fetch(ctx, c.db, func(ctx context.Context) ([]order.Refund, error) {
		return collect(ctx, c.db.ent, "refunds", scanRefund,
			"SELECT "+refundColumns+" FROM refunds WHERE confirmed_at IS NULL AND next_try_at <= ? ORDER BY next_try_at, refund_id LIMIT ?", micro(now), limit)
	})
}

// DeferRefund counts a failed attempt and schedules the next one.
func (c *Charges) DeferRefund(ctx context.Context, refundID string, at time.Time) error {
	return c.db.call(ctx, func(ctx context.Context) error {
		_, err := c.db.ent.ExecContext(ctx, "UPDATE refunds SET attempts = attempts + 1, next_try_at = ? WHERE refund_id = ? AND confirmed_at IS NULL", micro(at), refundID)
		return err
	})
}
