package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// recoveryBatch is how many orders a recovery worker takes in one iteration. Such orders are rare, so it is a bound for outages.
	recoveryBatch = 100
	// recoveryConcurrency is how many of them are handled at once; each takes a few calls.
	recoveryConcurrency = 10
	// recoveryInterval is the time between two iterations, unless one filled its batch.
	recoveryInterval = time.Second
)

// The actors of the cancellations that workers enqueue, as order_cancellations.actor stores them.
const (
	recoveryActor   = "payment_reconciler"
	lostOrdersActor = "lost_orders"
)

// PaymentClient is what the workers need of the payment service. Every call is idempotent by the order's id.
type PaymentClient interface {
	// Void prevents any later charge of the order; order.ErrFailedPrecondition if it is charged already.
	Void(ctx context.Context, id order.ID) error
	// Refund books one full refund, which is executed from then on; order.ErrFailedPrecondition if the order is not charged.
	Refund(ctx context.Context, id order.ID, reason string) error
	// Find returns the order's charge, queried at the provider when the ledger has no final one.
	Find(ctx context.Context, id order.ID) (order.Charge, error)
}

// refundOrVoid voids or refunds the order's charge and returns the refunded amount; zero if it was not charged. confirmed reports
// whether the provider has executed the refund; until then the refund retrier retries it.
func refundOrVoid(ctx context.Context, payments PaymentClient, id order.ID, reason string) (amount order.Money, confirmed bool, err error) {
	refunded, err := undoCharge(ctx, payments, id, reason)
	if err != nil || !refunded {
		return order.Money{}, err == nil, err
	}
	found, err := payments.Find(ctx, id)
	return found.Amount, err == nil && found.State == order.ChargeRefunded, err
}

// undoCharge voids a charge that was not made, and refunds one that was.
func undoCharge(ctx context.Context, payments PaymentClient, id order.ID, reason string) (refunded bool, err error) {
	if err := payments.Void(ctx, id); !errors.Is(err, order.ErrFailedPrecondition) {
		return false, err
	}
	// It is charged, or was refunded before.
	if err := payments.Refund(ctx, id, reason); err != nil {
		return false, fmt.Errorf("refund %s: %w", id, err)
	}
	return true, nil
}
