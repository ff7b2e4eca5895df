package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// The INSERT of this file is SQL and not ent's builder because every order takes part in it: ent makes a mutation, a spec and a map for each
// row, half of the processor time of the commit (BenchmarkCharges_Record).

const (
	chargeColumns = "order_id, charge_id, state, amount, currency, decline_code, created_at, updated_at, attempt, voided_at, recheck_at"
	chargeMarks   = "(?,?,?,?,?,?,?,?,?,?,?)"
	chargeFields  = 11
)

// insertNewCharges inserts the rows of orders that have none yet. It fails with a duplicate key, and inserts nothing, if one of them has.
func (c *Charges) insertNewCharges(ctx context.Context, charges []order.Charge) error {
	args := make([]any, 0, len(charges)*chargeFields)
	for _, ch := range charges {
		voided, recheck := voidTimes(ch.State, ch.UpdatedAt)
		args = append(args, string(ch.OrderID), ch.ChargeID, int8(ch.State), int64(ch.Amount.Amount), string(ch.Amount.Currency),
			truncate(ch.DeclineCode, maxDeclineCode), ch.CreatedAt, ch.UpdatedAt, attempt(ch.Attempt), orNull(voided), orNull(recheck))
	}
	_, err := c.db.ent.ExecContext(ctx, "INSERT INTO charges ("+chargeColumns+") VALUES "+tuples(len(charges), chargeMarks), args...)
	if err != nil {
		return fmt.Errorf("record %d charges: %w", len(charges), err)
	}
	return nil
}

// orNull is the time as an argument, or NULL.
func orNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}
