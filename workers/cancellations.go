package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// minCancelBackoff and maxCancelBackoff bound the pause before a failed cancellation is retried. Retries never end, because a
	// customer's refund depends on them.
	minCancelBackoff = time.Second
	maxCancelBackoff = 5 * time.Minute
	// restockPollInterval is the time between two checks whether the flusher has restocked the units in SQL, which takes it a few
	// milliseconds.
	restockPollInterval = 200 * time.Millisecond
)

// CancellationStore is the outbox of cancellations in SQL as its consumer needs it.
type CancellationStore interface {
	Due(ctx context.Context, now time.Time, limit int) ([]store.Cancellation, error)
	EnsureCancelled(ctx context.Context, x store.Cancellation) (cancelled bool, err error)
	Refunded(ctx context.Context, id order.ID, amount order.Money) error
	Defer(ctx context.Context, id order.ID, at time.Time, failed bool) error
	Finish(ctx context.Context, id order.ID) (finished bool, err error)
}

// Restocker returns the units of cancelled orders to stock, through Redis and the journal.
type Restocker interface {
	OpenEpoch() (int64, error)
	Restock(ctx context.Context, epoch int64, id order.ID, customer order.CustomerID, units []order.Delta, reason string) (journal.Offset, error)
}

// CancellationFinisher finishes the cancellations in the outbox: it refunds the charge, restocks the units, and makes the mail due.
// Each step is idempotent and recorded in SQL, so that a step is repeated after a crash. It takes recoveryBatch cancellations an
// iteration, recoveryConcurrency at once, and retries a failed one with backoff for as long as it takes. One that was not tried, because a
// dependency is unavailable, is due again after untriedBackoff.
type CancellationFinisher struct {
	outbox   CancellationStore
	payments PaymentClient
	stock    Restocker
	log      *slog.Logger
	finished *countLog
	now      func() time.Time
}

// NewCancellationFinisher makes a finisher. Several may run.
func NewCancellationFinisher(outbox CancellationStore, payments PaymentClient, st Restocker, log *slog.Logger) *CancellationFinisher {
	log = log.With("worker", "cancellation_finisher")
	return &CancellationFinisher{
		outbox: outbox, payments: payments, stock: st, now: time.Now, log: log,
		finished: newCountLog(log, "cancellations finished: charges refunded, units restocked"),
	}
}

// Run finishes cancellations until ctx ends.
func (f *CancellationFinisher) Run(ctx context.Context) {
	defer f.finished.flush(ctx)
	pollRecovery(ctx, f.log, f.RunOnce)
}

// RunOnce advances the cancellations that are due and returns how many of them did not fail.
func (f *CancellationFinisher) RunOnce(ctx context.Context) (int, error) {
	// The epoch is read before SQL: a script that sees another epoch fails, so that no units are restocked by a stale list.
	epoch, err := f.stock.OpenEpoch()
	if err != nil {
		return 0, err
	}
	f.finished.add(ctx, 0)
	due, err := f.outbox.Due(ctx, f.now(), recoveryBatch)
	if err != nil {
		return 0, err
	}
	return forEachErr(recoveryConcurrency, due, func(x store.Cancellation) error {
		if err := f.advance(ctx, epoch, x); err != nil {
			return fmt.Errorf("cancellation of %s: %w", x.OrderID, err)
		}
		return nil
	})
}

// advance runs the remaining steps of one cancellation, and defers it when a step failed or the flusher has not restocked it yet.
func (f *CancellationFinisher) advance(ctx context.Context, epoch int64, x store.Cancellation) error {
	confirmed, err := f.step(ctx, epoch, x)
	switch {
	case err == nil:
	case ctx.Err() != nil: // The worker is being stopped: the cancellation stays due.
		return err
	case !isTried(err):
		return errors.Join(err, f.outbox.Defer(ctx, x.OrderID, f.now().Add(untriedBackoff), false))
	default:
		return errors.Join(err, f.outbox.Defer(ctx, x.OrderID, f.now().Add(cancelBackoff(x.Attempts)), true))
	}
	finished, err := f.outbox.Finish(ctx, x.OrderID)
	switch {
	case err != nil:
		return err
	case !finished && !confirmed: // The confirmation makes it due at once.
		return f.outbox.Defer(ctx, x.OrderID, f.now().Add(cancelBackoff(x.Attempts)), true)
	case !finished:
		return f.outbox.Defer(ctx, x.OrderID, f.now().Add(restockPollInterval), false)
	}
	f.log.DebugContext(ctx, "cancellation finished: charge refunded, units restocked", "order_id", x.OrderID, "code", x.Reason.Code)
	f.finished.add(ctx, 1)
	return nil
}

// step runs the remaining steps and reports whether the provider has confirmed the refund, or none is needed. The units wait neither for the
// confirmation nor for the payment service.
func (f *CancellationFinisher) step(ctx context.Context, epoch int64, x store.Cancellation) (confirmed bool, err error) {
	cancelled, err := f.outbox.EnsureCancelled(ctx, x)
	if err != nil || !cancelled {
		return true, err
	}
	confirmed, err = f.refund(ctx, x)
	if ctx.Err() != nil || x.Restocked {
		return confirmed, err
	}
	_, restockErr := f.stock.Restock(ctx, epoch, x.OrderID, x.Customer, x.Units, x.Reason.Encode())
	return confirmed, errors.Join(err, restockErr)
}

// refund refunds or voids the charge, unless that is done, and reports whether the provider has confirmed it.
func (f *CancellationFinisher) refund(ctx context.Context, x store.Cancellation) (confirmed bool, err error) {
	if x.Refunded {
		return true, nil
	}
	amount, confirmed, err := refundOrVoid(ctx, f.payments, x.OrderID, x.Reason.Text)
	if err != nil || !confirmed {
		return false, err
	}
	return true, f.outbox.Refunded(ctx, x.OrderID, amount)
}

// cancelBackoff returns the backoff after the given number of failed attempts.
func cancelBackoff(attempts int) time.Duration {
	return backoffFor(attempts, minCancelBackoff, maxCancelBackoff)
}

// backoffFor returns a backoff that doubles with each attempt, from least to most.
func backoffFor(attempts int, least, most time.Duration) time.Duration {
	d := least
	for range attempts {
		if d *= 2; d >= most {
			return most
		}
	}
	return d
}
