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
	// maxRecheckPages bounds the rechecks of one iteration, in pages of recoveryBatch: 1,000 unpaid orders can be voided in a second.
	maxRecheckPages = 10
	// recheckRetry is the time until a failed recheck is retried.
	recheckRetry = time.Minute
)

// recheck queries the payment service for the voided charges that are due, because the provider may execute a charge long after its
// request timed out. The payment service books such a charge with its refund.
func (r *PaymentReconciler) recheck(ctx context.Context, now time.Time) error {
	var errs []error
	for range maxRecheckPages {
		more, err := r.recheckPage(ctx, now)
		errs = append(errs, err)
		if !more {
			break
		}
	}
	return errors.Join(errs...)
}

// recheckPage rechecks a page of charges. It retries a failed one after recheckRetry. If all of them fail, the payment service is
// unavailable, and they stay due.
func (r *PaymentReconciler) recheckPage(ctx context.Context, now time.Time) (more bool, err error) {
	page, err := r.orders.DueRechecks(ctx, now, recoveryBatch)
	if err != nil || len(page) == 0 {
		return false, err
	}
	var mu sync.Mutex
	var done, failed []store.Recheck
	_, err = forEachErr(recoveryConcurrency, page, func(c store.Recheck) error {
		_, ferr := r.payments.Find(ctx, c.OrderID)
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
