package workers

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Revoker gives the stock of an order back that SQL refused.
type Revoker interface {
	Revoke(ctx context.Context, id order.ID, reason string) (journal.Offset, error)
}

// Duplicates cancels orders whose idempotency key belongs to another order: the marker in Redis had expired, or was
// lost with its Redis, and SQL's unique index is the last to know (I4). Each step is idempotent.
type Duplicates struct {
	stock Revoker
	money PaymentClient
}

// NewDuplicates makes the canceller.
func NewDuplicates(st Revoker, money PaymentClient) *Duplicates {
	return &Duplicates{stock: st, money: money}
}

// CancelDuplicate gives stock and money of the order back.
func (d *Duplicates) CancelDuplicate(ctx context.Context, id, of order.ID) error {
	reason := order.CancelledAsDuplicate(of)
	if _, err := d.stock.Revoke(ctx, id, reason.Encode()); err != nil && !errors.Is(err, order.ErrNotFound) {
		return fmt.Errorf("give the stock of %s back: %w", id, err)
	}
	if _, err := undoCharge(ctx, d.money, id, reason.Text); err != nil {
		return fmt.Errorf("give the money of %s back: %w", id, err)
	}
	return nil
}
