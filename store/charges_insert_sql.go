package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// The INSERT of this file is SQL and not ent's builder because every order takes part in it: ent makes a mutation, a spec and a map for each
// row, half of the processor time of the commit (BenchmarkCharges_Record).

const chargeColumns = "order_id, charge_id, state, amount, currency, decline_code, created_at, updated_at, attempt, voided_at, recheck_at"

var (
	chargeFields = strings.Count(chargeColumns, ",") + 1
	chargeMarks  = "(" + placeholders(chargeFields) + ")"
)

// insertCharges inserts the rows. otherwise ends the statement, for orders that have one; if it is empty, insertCharges fails with a duplicate
// key for those, and inserts nothing.
func insertCharges(ctx context.Context, client *ent.Client, charges []order.Charge, otherwise string) error {
	args := make([]any, 0, len(charges)*chargeFields)
	for _, ch := range charges {
		voided, recheck := voidTimes(ch.State, ch.UpdatedAt)
		args = append(args, string(ch.OrderID), ch.ChargeID, int8(ch.State), int64(ch.Amount.Amount), string(ch.Amount.Currency),
			truncate(ch.DeclineCode, maxDeclineCode), ch.CreatedAt, ch.UpdatedAt, attempt(ch.Attempt), voided, recheck)
	}
	_, err := client.ExecContext(ctx, "INSERT INTO charges ("+chargeColumns+") VALUES "+tuples(len(charges), chargeMarks)+otherwise, args...)
	if err != nil {
		return fmt.Errorf("record %d charges: %w", len(charges), err)
	}
	return nil
}
