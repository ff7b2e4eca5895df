package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// ReconcileConfig sets up a PaymentReconciler.
type ReconcileConfig struct {
	// After is how long an order may be PENDING before its charge is queried: longer than a checkout takes.
	After time.Duration
	// Lookback is how far back cancelled orders are checked for a late charge: longer than a charge may be in flight.
	Lookback time.Duration
}

// DefaultReconcileConfig queries charges after 30 s: a checkout times out after 15 s.
func DefaultReconcileConfig() ReconcileConfig {
	return ReconcileConfig{After: 30 * time.Second, Lookback: 24 * time.Hour}
}

const (
	// lateChargeDelay is how long after a cancellation the request that made its charge may still refund it.
	lateChargeDelay = 20 * time.Second
	// recentWindow is how far back each scan of cancelled orders goes, and fullScanInterval the time between two scans of all of Lookback: a
	// sale leaves a hundred thousand of them.
	recentWindow     = 10 * time.Minute
	fullScanInterval = time.Minute
)

// PaymentReconciler ends orders that stay PENDING, by querying their charges at the payment service: it settles charged ones, and voids
// the charges of others, so that a late charge is refused, before it releases them. It refunds charges of cancelled orders and rechecks
// voided charges. It takes recoveryBatch orders of each kind an iteration, recoveryConcurrency at once; later iterations retry those that
// failed.
type PaymentReconciler struct {
	cfg           ReconcileConfig
	orders        *store.Orders
	cancellations *store.Cancellations
	payments      ReconcilerPayments
	stock         *stock.Stock
	log           *slog.Logger
	// settled and released count the orders of both kinds for the log.
	settled, released *countLog
	now               func() time.Time
	// cursor is where the last scan of the pending orders ended; zero to begin at the oldest.
	cursor store.Cursor
	// skipped means that orders before the cursor failed because the payment service was unavailable.
	skipped bool
	// ended are the orders that were settled or released in Redis and are still PENDING in SQL. The queue delivers their events, or the
	// order repairer writes them after a minute.
	ended seen
	// lastFullScan is when all cancelled orders within Lookback were scanned last.
	lastFullScan time.Time
}

// ReconcilerPayments is what the PaymentReconciler needs of the payment service.
type ReconcilerPayments interface {
	PaymentClient
	// VoidUncharged is Void for an order that was placed without a card. It does not need the provider; false means that a card may be charged.
	VoidUncharged(ctx context.Context, id order.ID) (bool, error)
}

// NewPaymentReconciler makes a reconciler. Several may run: each step is idempotent.
func NewPaymentReconciler(
	cfg ReconcileConfig,
	orders *store.Orders,
	cancellations *store.Cancellations,
	payments ReconcilerPayments,
	st *stock.Stock,
	log *slog.Logger,
) *PaymentReconciler {
	log = log.With("worker", "payment_reconciler")
	return &PaymentReconciler{
		cfg: cfg, orders: orders, cancellations: cancellations, payments: payments, stock: st, now: time.Now,
		log: log, settled: newCountLog(log, "orders with an unknown charge are paid"), released: newCountLog(log, "unpaid orders cancelled"),
	}
}

// Run reconciles until ctx ends.
func (r *PaymentReconciler) Run(ctx context.Context) {
	defer r.settled.flush(ctx)
	defer r.released.flush(ctx)
	pollRecovery(ctx, r.log, r.RunOnce)
}

// RunOnce scans once and returns how many orders and charges it handled without an error.
func (r *PaymentReconciler) RunOnce(ctx context.Context) (int, error) {
	now := r.now()
	r.settled.add(ctx, 0)
	r.released.add(ctx, 0)
	stale, err := r.stale(ctx, now)
	if err != nil {
		return 0, err
	}
	done, err := forEachErr(recoveryConcurrency, stale, func(o order.Order) error {
		if err := r.reconcile(ctx, o); err != nil {
			return fmt.Errorf("order %s: %w", o.ID, err)
		}
		return nil
	})
	r.returnToSkipped(err)
	late, lateErr := r.closeCharges(ctx, now)
	return done + late, errors.Join(err, lateErr, r.recheck(ctx, now))
}

// stale returns the next page of stale pending orders. Each scan continues after the last one, and begins at the oldest again after the
// last page, so that orders that always fail do not block the others.
func (r *PaymentReconciler) stale(ctx context.Context, now time.Time) ([]order.Order, error) {
	page, err := r.orders.StalePending(ctx, r.cursor, now.Add(-r.cfg.After), now, recoveryBatch)
	if err != nil {
		return nil, err
	}
	r.cursor = store.Cursor{}
	if len(page) < recoveryBatch {
		r.ended.next()
	} else {
		last := page[len(page)-1]
		r.cursor = store.Cursor{At: last.UpdatedAt, OrderID: last.ID}
	}
	return page, nil
}

// returnToSkipped lets the next scan begin at the oldest order once a page shows that the payment service responds again. Orders that the pages before
// skipped would otherwise wait for the end of the scan, which an overload can keep from ending for minutes.
func (r *PaymentReconciler) returnToSkipped(err error) {
	switch {
	case errors.Is(err, order.ErrUnavailable):
		r.skipped = true
	case err == nil && r.skipped:
		r.skipped, r.cursor = false, store.Cursor{}
	}
}

// closeCharges voids the open charges of cancelled orders, and refunds those that were made. It scans the orders that were cancelled
// within recentWindow, and once each fullScanInterval all within Lookback.
func (r *PaymentReconciler) closeCharges(ctx context.Context, now time.Time) (int, error) {
	from, far := now.Add(-recentWindow), now.Sub(r.lastFullScan) >= fullScanInterval
	if far {
		from = now.Add(-r.cfg.Lookback)
	}
	ids, err := r.orders.OpenCharges(ctx, from, now.Add(-lateChargeDelay), recoveryBatch)
	if err != nil {
		return 0, err
	}
	if far {
		r.lastFullScan = now
	}
	return forEachErr(recoveryConcurrency, ids, func(id order.ID) error {
		err := r.payments.Void(ctx, id)
		if !errors.Is(err, order.ErrFailedPrecondition) {
			return err
		}
		r.log.WarnContext(ctx, "cancelled order was charged, refunding", "order_id", id)
		return r.refund(ctx, id)
	})
}
