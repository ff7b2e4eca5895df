package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// ReconcileConfig sets up a PaymentReconciler.
type ReconcileConfig struct {
	// After is how long an order may be PENDING before its payment is asked for: longer than a checkout takes.
	After time.Duration
	// Lookback is how far back cancelled orders are checked for a charge that came after all: longer than a charge may be in flight.
	Lookback time.Duration
}

// DefaultReconcileConfig asks after 30 s: a checkout gives up after 15.
func DefaultReconcileConfig() ReconcileConfig {
	return ReconcileConfig{After: 30 * time.Second, Lookback: 24 * time.Hour}
}

const (
	// lateChargeDelay is how long after a cancellation its charge may still be on its way to being refunded by the request that made it.
	lateChargeDelay = 20 * time.Second
	// lately is how far back each look at cancelled orders goes, and fullScanInterval how often one goes all the way: a sale leaves a hundred
	// thousand of them.
	recentWindow     = 10 * time.Minute
	fullScanInterval = time.Minute
)

// PendingStore is what a PaymentReconciler needs of SQL.
type PendingStore interface {
	StalePending(ctx context.Context, after store.Cursor, before, now time.Time, limit int) ([]order.Order, error)
	OpenCharges(ctx context.Context, from, to time.Time, limit int) ([]order.ID, error)
	DueRechecks(ctx context.Context, now time.Time, limit int) ([]store.Recheck, error)
	Rechecked(ctx context.Context, done []store.Recheck, now time.Time) error
	DeferRechecks(ctx context.Context, failed []store.Recheck, at, now time.Time) error
	// MarkPaid brings a pending order to PAID, in SQL alone.
	MarkPaid(ctx context.Context, o order.Order, at time.Time) error
}

// Intents are the cancellations that are written down before they are carried out.
type Intents interface {
	Cancel(ctx context.Context, id order.ID, from []order.State, reason order.CancelReason, actor string) (order.State, error)
	Enqueue(ctx context.Context, intents []store.Cancellation) error
}

// PaymentReconciler brings orders that stay PENDING to their end by asking the payment service: charged ones are settled, others are
// voided, so that a late charge is refused, and then released. It refunds what was charged for orders that are cancelled.
type PaymentReconciler struct {
	cfg     ReconcileConfig
	orders  PendingStore
	intents Intents
	money   PaymentClient
	stock   Finisher
	log     *slog.Logger
	now     func() time.Time
	// place is where the last look at pending orders ended, if there were more.
	place store.Cursor
	// brought are the orders that were settled or released in Redis and that SQL does not know so yet. The queue brings it there, or
	// after a minute the order repairer.
	brought seen
	// lastFullScan is when all cancelled orders were looked at last.
	lastFullScan time.Time
}

// NewPaymentReconciler makes a reconciler. Several may run: each step is idempotent.
func NewPaymentReconciler(cfg ReconcileConfig, orders PendingStore, intents Intents, money PaymentClient, st Finisher, log *slog.Logger) *PaymentReconciler {
	return &PaymentReconciler{
		cfg: cfg, orders: orders, intents: intents, money: money, stock: st, now: time.Now, log: log.With("worker", "payment_reconciler"),
	}
}

// Run reconciles until ctx ends.
func (r *PaymentReconciler) Run(ctx context.Context) { pollRecovery(ctx, r.log, r.RunOnce) }

// RunOnce looks once and returns how many orders it brought on.
func (r *PaymentReconciler) RunOnce(ctx context.Context) (int, error) {
	now := r.now()
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
	late, lateErr := r.closeCharges(ctx, now)
	return done + late, errors.Join(err, lateErr, r.recheck(ctx, now))
}

// stale are the pending orders whose turn it is. Each look goes on behind the last one, and begins again where that found the end: orders
// that fail each time must not keep the others from theirs.
func (r *PaymentReconciler) stale(ctx context.Context, now time.Time) ([]order.Order, error) {
	page, err := r.orders.StalePending(ctx, r.place, now.Add(-r.cfg.After), now, recoveryBatch)
	if err != nil {
		return nil, err
	}
	r.place = store.Cursor{}
	if len(page) < recoveryBatch {
		r.brought.next()
	} else {
		last := page[len(page)-1]
		r.place = store.Cursor{At: last.UpdatedAt, OrderID: last.ID}
	}
	return page, nil
}

// reconcile asks for the payment of one order and takes the step that follows.
func (r *PaymentReconciler) reconcile(ctx context.Context, o order.Order) error {
	found, err := r.money.Find(ctx, o.ID)
	if err != nil {
		return r.hold(ctx, o, err)
	}
	switch found.State {
	case order.ChargeSucceeded:
		return r.settle(ctx, o, found.ChargeID)
	case order.ChargeDeclined:
		if o.ExpiresAt.IsZero() {
			return r.release(ctx, o, order.CancelledAsDeclined(found.DeclineCode))
		}
		// Another card can be tried until the tombstone is written.
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return r.release(ctx, o, r.why(o, order.CancelPaymentVoided))
	case order.ChargeNone, order.ChargePending:
	}
	// The tombstone first: a charge that is still on its way is refused by it, or was faster.
	if err := r.money.Void(ctx, o.ID); err != nil {
		if errors.Is(err, order.ErrFailedPrecondition) {
			return nil // Charged just now: the next look settles it.
		}
		return r.hold(ctx, o, err)
	}
	return r.release(ctx, o, r.why(o, order.CancelPaymentUnknown))
}

// hold counts an order as unpaid that cannot be ended while the payment service is unavailable, and returns the reason. Redis counts it
// since it was placed, unless that was in an earlier epoch.
func (r *PaymentReconciler) hold(ctx context.Context, o order.Order, reason error) error {
	return errors.Join(reason, r.stock.MarkUnpaid(ctx, o.ID))
}

// why is the reason of a cancellation: an order that was to be paid later has expired.
func (r *PaymentReconciler) why(o order.Order, otherwise order.CancelCode) order.CancelReason {
	if !o.ExpiresAt.IsZero() {
		return order.CancelledAs(order.CancelExpired, "")
	}
	return order.CancelledAs(otherwise, "")
}

func (r *PaymentReconciler) settle(ctx context.Context, o order.Order, chargeID string) error {
	_, err := r.stock.Settle(ctx, o.ID, chargeID, "")
	switch {
	case errors.Is(err, order.ErrNotFound): // Redis lost it after SQL had it: nobody else decides about it any more.
		if err = r.orders.MarkPaid(ctx, o, r.now()); errors.Is(err, order.ErrFailedPrecondition) {
			return r.cancelCharged(ctx, o)
		}
	case errors.Is(err, order.ErrFailedPrecondition):
		err = r.refund(ctx, o.ID)
	}
	if err == nil && r.brought.first(o.ID) {
		r.log.InfoContext(ctx, "an order whose payment was not known is paid", "order", o.ID)
	}
	return err
}

func (r *PaymentReconciler) release(ctx context.Context, o order.Order, reason order.CancelReason) error {
	_, err := r.stock.Release(ctx, o.ID, reason.Encode(), "")
	switch {
	case errors.Is(err, order.ErrNotFound):
		_, err = r.intents.Cancel(ctx, o.ID, []order.State{order.Pending}, reason, recoveryActor)
	case errors.Is(err, order.ErrFailedPrecondition): // Settled just now: its event is on the way to SQL.
		return nil
	}
	if err == nil && r.brought.first(o.ID) {
		r.log.InfoContext(ctx, "an order that was not paid is cancelled", "order", o.ID, "reason", reason.Text)
	}
	return err
}

// cancelCharged cancels the row of an order that was charged although its units are back in stock.
func (r *PaymentReconciler) cancelCharged(ctx context.Context, o order.Order) error {
	_, err := r.intents.Cancel(ctx, o.ID, []order.State{order.Pending}, order.CancelledAs(order.CancelChargedLate, ""), recoveryActor)
	return err
}

// refund enqueues the refund of a cancelled order.
func (r *PaymentReconciler) refund(ctx context.Context, id order.ID) error {
	return r.intents.Enqueue(ctx, []store.Cancellation{{OrderID: id, Reason: order.CancelledAs(order.CancelChargedLate, ""), Actor: recoveryActor}})
}

// closeCharges sees to it that cancelled orders cost nothing: a charge that was not made is forbidden, one that was goes back. It looks at
// those that were cancelled lately, and every now and then at all that it is to look back to.
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
		err := r.money.Void(ctx, id)
		if !errors.Is(err, order.ErrFailedPrecondition) {
			return err
		}
		r.log.WarnContext(ctx, "a cancelled order was charged; its money goes back", "order", id)
		return r.refund(ctx, id)
	})
}
