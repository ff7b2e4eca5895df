package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

const (
	// recoveryBatch is how many orders a repairing worker takes at once: they are the exception, so that it bounds a bad day.
	recoveryBatch = 100
	// recoveryConcurrency is how many of them are under way at once; each costs a few calls.
	recoveryConcurrency = 10
	// recoveryPause is between two looks that found nothing.
	recoveryPause = time.Second
)

// Who cancels in the name of the shop, as order_cancellations.actor keeps it.
const (
	recoveryActor   = "payment_reconciler"
	lostOrdersActor = "lost_orders"
)

// PaymentClient is what the workers need of the payment service. Every call is idempotent by the order's id.
type PaymentClient interface {
	// Void makes sure that the order is never charged; order.ErrFailedPrecondition when it is already.
	Void(ctx context.Context, id order.ID) error
	// Refund books that the money goes back, once, and that is then certain; order.ErrFailedPrecondition when nothing was taken.
	Refund(ctx context.Context, id order.ID, reason string) error
	Find(ctx context.Context, id order.ID) (order.Charge, error)
}

// Finisher settles and releases orders in Redis, which decides while they are pending.
type Finisher interface {
	Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error)
	Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error)
	// MarkUnpaid counts an order as unpaid until it is settled or released.
	MarkUnpaid(ctx context.Context, id order.ID) error
}

// giveBack makes sure that the order costs nothing, and returns what goes back; zero when nothing had been taken. It is confirmed once the
// provider has done it; until then the refund worker sees to that.
func giveBack(ctx context.Context, money PaymentClient, id order.ID, reason string) (amount order.Money, confirmed bool, err error) {
	refunded, err := undoCharge(ctx, money, id, reason)
	if err != nil || !refunded {
		return order.Money{}, err == nil, err
	}
	found, err := money.Find(ctx, id)
	return found.Amount, err == nil && found.State == order.ChargeRefunded, err
}

// undoCharge forbids a charge that was not made, and refunds one that was.
func undoCharge(ctx context.Context, money PaymentClient, id order.ID, reason string) (refunded bool, err error) {
	if err := money.Void(ctx, id); !errors.Is(err, order.ErrFailedPrecondition) {
		return false, err
	}
	// It is charged already, or was given back before.
	if err := money.Refund(ctx, id, reason); err != nil {
		return false, fmt.Errorf("refund %s: %w", id, err)
	}
	return true, nil
}
