package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/store"
)

// rechecks are the ages at which a voided charge is asked for again: the provider may take the money late, when whoever had asked for it
// is gone. Providers answer or give up within minutes.
var rechecks = []time.Duration{time.Minute, 15 * time.Minute}

const (
	// recheckBack is what a worker that starts catches up with: what was due while none ran for that long.
	recheckBack = time.Hour
	// recheckPages bounds one look, in pages of recoveryBatch: 1,000 orders that nobody paid can be voided in a second.
	recheckPages = 10
)

// recheck asks for voided charges once more at each age. The payment service gives back what the provider took for them.
func (r *PaymentReconciler) recheck(ctx context.Context, now time.Time) error {
	var errs []error
	for i, age := range rechecks {
		if r.rechecked[i] == (store.Place{}) {
			r.rechecked[i].At = now.Add(-age - recheckBack)
		}
		for range recheckPages {
			more, err := r.recheckPage(ctx, &r.rechecked[i], now.Add(-age))
			errs = append(errs, err)
			if !more {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// recheckPage asks for a page of charges and moves the place behind them. One that fails among others is left to the next age; when all of
// them fail, the payment service is away, and the place stays.
func (r *PaymentReconciler) recheckPage(ctx context.Context, place *store.Place, before time.Time) (more bool, err error) {
	page, err := r.orders.Voided(ctx, *place, before, recoveryBatch)
	if err != nil || len(page) == 0 {
		return false, err
	}
	n, err := tryEach(ctx, recoveryConcurrency, page, func(c store.Place) error {
		if _, err := r.money.Find(ctx, c.OrderID); err != nil {
			return fmt.Errorf("voided charge of %s: %w", c.OrderID, err)
		}
		return nil
	})
	if n > 0 {
		*place = page[len(page)-1]
	}
	return n > 0 && len(page) == recoveryBatch, err
}
