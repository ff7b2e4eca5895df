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
	// minRefundBackoff and maxRefundBackoff bound the pause before a refund that the provider did not confirm is retried. Retries never
	// end. The audit reports refunds that stay unconfirmed for too long.
	minRefundBackoff = 5 * time.Second
	maxRefundBackoff = 5 * time.Minute
)

// RefundStore lists booked refunds that are not confirmed, and defers them.
type RefundStore interface {
	DueRefunds(ctx context.Context, now time.Time, limit int) ([]order.Refund, error)
	DeferRefund(ctx context.Context, refundID string, at time.Time) error
}

// RefundExecutor executes a refund at the provider and books its confirmation; it is idempotent by the refund's id.
type RefundExecutor interface {
	ExecuteRefund(ctx context.Context, refundID string) error
}

// RefundRetrier executes each booked refund until the provider has confirmed it. It takes recoveryBatch refunds an iteration,
// recoveryConcurrency at once, and retries each with backoff.
type RefundRetrier struct {
	refunds  RefundStore
	payments RefundExecutor
	log      *slog.Logger
	done     *countLog
	now      func() time.Time
}

// NewRefundRetrier makes a retrier. Several may run.
func NewRefundRetrier(refunds RefundStore, payments RefundExecutor, log *slog.Logger) *RefundRetrier {
	log = log.With("worker", "refund_retrier")
	return &RefundRetrier{refunds: refunds, payments: payments, now: time.Now, log: log, done: newCountLog(log, "refunds confirmed")}
}

// Run retries refunds until ctx ends.
func (r *RefundRetrier) Run(ctx context.Context) {
	defer r.done.flush(ctx)
	pollRecovery(ctx, r.log, r.RunOnce)
}

// RunOnce executes the refunds that are due and returns how many were confirmed. A refund that was not tried, because the provider's breaker is
// open or the worker is being stopped, stays due as it is.
func (r *RefundRetrier) RunOnce(ctx context.Context) (int, error) {
	due, err := r.refunds.DueRefunds(ctx, r.now(), recoveryBatch)
	if err != nil {
		return 0, err
	}
	confirmed, err := forEachErr(recoveryConcurrency, due, func(f order.Refund) error {
		err := r.payments.ExecuteRefund(ctx, f.RefundID)
		if err == nil {
			r.log.DebugContext(ctx, "refund confirmed", "refund_id", f.RefundID, "order_id", f.OrderID, "attempt", f.Attempts+1)
			return nil
		}
		err = fmt.Errorf("refund %s of order %s: %w", f.RefundID, f.OrderID, err)
		if !isTried(err) || ctx.Err() != nil {
			return err
		}
		return errors.Join(err, r.refunds.DeferRefund(ctx, f.RefundID, r.now().Add(backoffFor(f.Attempts, minRefundBackoff, maxRefundBackoff))))
	})
	r.done.add(ctx, confirmed)
	return confirmed, err
}
