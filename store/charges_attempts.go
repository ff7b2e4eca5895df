package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/order"
)

// MaxAttempts bounds the cards that are tried for one order. People have a few; who tries more tests stolen numbers.
const MaxAttempts = 10

// NextAttempt makes a declined line PENDING again, for another card, under a new charge id and the next attempt number. It compares
// state and attempt with the declined line that the caller has read, so that of concurrent callers one starts an attempt. It returns
// the line as it is afterwards; the line is unchanged after MaxAttempts.
func (c *Charges) NextAttempt(ctx context.Context, declined Charge, chargeID string) (Charge, error) {
	return c.update(ctx, declined.OrderID, "UPDATE charges SET state = ?, attempt = attempt + 1, charge_id = ?, decline_code = '', updated_at = ? "+
		"WHERE order_id = ? AND state = ? AND attempt = ? AND attempt < ?",
		ChargePending, chargeID, micro(c.now()), declined.OrderID, ChargeDeclined, declined.Attempt, MaxAttempts)
}

// ResolveAttempt moves a line that the caller has read to another state. It compares state and attempt, so that the outcome of one
// attempt is never recorded for another. It returns the line as it is afterwards.
func (c *Charges) ResolveAttempt(ctx context.Context, read Charge, to ChargeState, declineCode string) (Charge, error) {
	return c.update(ctx, read.OrderID, "UPDATE charges SET state = ?, decline_code = ?, updated_at = ? WHERE order_id = ? AND state = ? AND attempt = ?",
		to, clip(declineCode, 64), micro(c.now()), read.OrderID, read.State, read.Attempt)
}

// voidUncharged makes a line VOIDED that took no money, whichever attempt it is at. It keeps the last decline code.
func (c *Charges) voidUncharged(ctx context.Context, id order.ID) (Charge, error) {
	return c.update(ctx, id, "UPDATE charges SET state = ?, updated_at = ? WHERE order_id = ? AND state IN (?, ?)",
		ChargeVoided, micro(c.now()), id, ChargePending, ChargeDeclined)
}

// update changes at most one line and reads it.
func (c *Charges) update(ctx context.Context, id order.ID, query string, args ...any) (Charge, error) {
	var ch Charge
	err := c.db.call(ctx, func(ctx context.Context) (err error) {
		if _, err = c.db.sql.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("change the charge of %s: %w", id, err)
		}
		ch, err = getCharge(ctx, c.db.sql, id)
		return err
	})
	return ch, err
}
