package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Revoker returns the units of an order that SQL refused to stock.
type Revoker interface {
	Revoke(ctx context.Context, id order.ID, reason string) (journal.Offset, error)
}

// DuplicateCanceller cancels orders with the idempotency key of an earlier order. Such orders pass Redis when the idempotency record
// there has expired or was lost; SQL's unique index finds them (I4). Each step is idempotent.
type DuplicateCanceller struct {
	stock    Revoker
	payments PaymentClient
}

// NewDuplicateCanceller makes the canceller.
func NewDuplicateCanceller(st Revoker, payments PaymentClient) *DuplicateCanceller {
	return &DuplicateCanceller{stock: st, payments: payments}
}

// CancelDuplicate returns the units of the order to stock, and voids or refunds its charge. of is the order that the key belongs to.
func (d *DuplicateCanceller) CancelDuplicate(ctx context.Context, id, of order.ID) error {
	reason := order.CancelledAsDuplicate(of)
	if _, err := d.stock.Revoke(ctx, id, reason.Encode()); err != nil && !errors.Is(err, order.ErrNotFound) {
		return fmt.Errorf("return the units of %s: %w", id, err)
	}
	if _, err := undoCharge(ctx, d.payments, id, reason.Text); err != nil {
		return fmt.Errorf("void or refund the charge of %s: %w", id, err)
	}
	return nil
}
