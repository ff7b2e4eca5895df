package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/store"
)

const (
	// recheckPages bounds the rechecks of one iteration, in pages of recoveryBatch: 1,000 orders that nobody paid can be voided in a second.
	recheckPages = 10
	// recheckRetry is when a recheck that failed is tried again.
	recheckRetry = time.Minute
)

// recheck asks the payment service for the voided charges that are due: the provider may take the money late, when whoever had asked for
// it is gone. The payment service books what the provider took, with its refund.
func (r *PaymentReconciler) recheck(ctx context.Context, now time.Time) error {
	var errs []error
	for range recheckPages {
		more, err := r.recheckPage(ctx, now)
		errs = append(errs, err)
		if !more {
			break
		}
	}
	return errors.Join(errs...)
}

// recheckPage rechecks a page of charges. Those that fail among others are tried again after recheckRetry; when all of them fail, the payment
// service is unavailable, and they stay due.
func (r *PaymentReconciler) recheckPage(ctx context.Context, now time.Time) (more bool, err error) {
	page, err := r.orders.DueRechecks(ctx, now, recoveryBatch)
	if err != nil || len(page) == 0 {
		return false, err
	}
	var mu sync.Mutex
	var done, failed []store.Recheck
	_, err = forEachErr(recoveryConcurrency, page, func(c store.Recheck) error {
		_, ferr := r.money.Find(ctx, c.OrderID)
		mu.Lock()
		defer mu.Unlock()
		if ferr != nil {
			failed = append(failed, c)
			return fmt.Errorf("recheck the voided charge of %s: %w", c.OrderID, ferr)
		}
		done = append(done, c)
		return nil
	})
	if len(done) == 0 {
		return false, err
	}
	err = errors.Join(err, r.orders.Rechecked(ctx, done, now), r.orders.DeferRechecks(ctx, failed, now.Add(recheckRetry), now))
	return len(page) == recoveryBatch, err
}
