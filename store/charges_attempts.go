package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/charge"
	"github.com/spillway/spillway/order"
)

// NextAttempt makes a declined line PENDING again, for another card, under a new charge id and the next attempt number. It compares
// state and attempt with the declined line that the caller has read, so that of concurrent callers one starts an attempt. It returns
// the line as it is afterwards; the line is unchanged after order.MaxChargeAttempts.
func (c *Charges) NextAttempt(ctx context.Context, declined order.Charge, chargeID string) (order.Charge, error) {
	return c.update(ctx, declined.OrderID, c.db.ent.Charge.Update().
		Where(charge.ID(string(declined.OrderID)), charge.State(int8(order.ChargeDeclined)), charge.Attempt(attempt(declined.Attempt)), charge.AttemptLT(order.MaxChargeAttempts)).
		SetState(int8(order.ChargePending)).AddAttempt(1).SetChargeID(chargeID).SetDeclineCode("").SetUpdatedAt(micro(c.now())))
}

// ResolveAttempt moves a line that the caller has read to another state. It compares state and attempt, so that the outcome of one
// attempt is never recorded for another. It returns the line as it is afterwards.
func (c *Charges) ResolveAttempt(ctx context.Context, read order.Charge, to order.ChargeState, declineCode string) (order.Charge, error) {
	return c.update(ctx, read.OrderID, c.db.ent.Charge.Update().
		Where(charge.ID(string(read.OrderID)), charge.State(int8(read.State)), charge.Attempt(attempt(read.Attempt))).
		SetState(int8(to)).SetDeclineCode(truncate(declineCode, maxDeclineCode)).SetUpdatedAt(micro(c.now())))
}

// voidTries bounds how often a line is voided that moves between PENDING and DECLINED meanwhile, as one does when a card is tried.
const voidTries = 5

// voidOpen makes a line VOIDED that is PENDING or DECLINED, whichever attempt it is at. It keeps the last decline code.
func (c *Charges) voidOpen(ctx context.Context, ch order.Charge) (order.Charge, error) {
	for range voidTries {
		if ch.State != order.ChargePending && ch.State != order.ChargeDeclined {
			return ch, nil
		}
		var err error
		if ch, err = c.Resolve(ctx, ch.OrderID, ch.State, order.ChargeVoided, ch.DeclineCode); err != nil {
			return ch, err
		}
	}
	if ch.State == order.ChargePending || ch.State == order.ChargeDeclined {
		return ch, fmt.Errorf("order %s is being charged: %w", ch.OrderID, order.ErrUnavailable)
	}
	return ch, nil
}

// update changes at most one line and reads it.
func (c *Charges) update(ctx context.Context, id order.ID, change *ent.ChargeUpdate) (order.Charge, error) {
	return fetch(ctx, c.db, func(ctx context.Context) (order.Charge, error) {
		if err := change.Exec(ctx); err != nil {
			return order.Charge{}, fmt.Errorf("change the charge of %s: %w", id, err)
		}
		return getCharge(ctx, c.db.ent, id)
	})
}
