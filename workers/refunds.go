package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// refundBackoffMin and refundBackoffMax bound the wait before a refund that the provider did not confirm is tried again. It is never
	// given up: it is a customer's money. The audit reports those that stay unconfirmed for too long.
	refundBackoffMin = 5 * time.Second
	refundBackoffMax = 5 * time.Minute
)

// RefundStore keeps the refunds that are booked.
type RefundStore interface {
	DueRefunds(ctx context.Context, now time.Time, limit int) ([]order.Refund, error)
	DeferRefund(ctx context.Context, refundID string, at time.Time) error
}

// RefundExecutor has the provider do a refund and books its confirmation; it is idempotent by the refund's id.
type RefundExecutor interface {
	ExecuteRefund(ctx context.Context, refundID string) error
}

// RefundRetrier has each booked refund executed until the provider has confirmed it.
type RefundRetrier struct {
	refunds  RefundStore
	payments RefundExecutor
	log      *slog.Logger
	now      func() time.Time
}

// NewRefundRetrier makes a retrier. Several may run.
func NewRefundRetrier(refunds RefundStore, payments RefundExecutor, log *slog.Logger) *RefundRetrier {
	return &RefundRetrier{refunds: refunds, payments: payments, now: time.Now, log: log.With("worker", "refund_retrier")}
}

// Run retries refunds until ctx ends.
func (r *RefundRetrier) Run(ctx context.Context) { patiently(ctx, r.log, r.RunOnce) }

// RunOnce executes the refunds that are due and returns how many were confirmed.
func (r *RefundRetrier) RunOnce(ctx context.Context) (int, error) {
	due, err := r.refunds.DueRefunds(ctx, r.now(), recoveryBatch)
	if err != nil {
		return 0, err
	}
	return tryEach(ctx, recoveryConcurrency, due, func(f order.Refund) error {
		err := r.payments.ExecuteRefund(ctx, f.RefundID)
		if err == nil {
			r.log.InfoContext(ctx, "a refund is confirmed", "refund_id", f.RefundID, "order_id", f.OrderID, "attempt", f.Attempts+1)
			return nil
		}
		err = fmt.Errorf("refund %s of order %s: %w", f.RefundID, f.OrderID, err)
		return errors.Join(err, r.refunds.DeferRefund(ctx, f.RefundID, r.now().Add(backoffFor(f.Attempts, refundBackoffMin, refundBackoffMax))))
	})
}
