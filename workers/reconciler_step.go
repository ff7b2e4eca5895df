package workers

import (
	"context"
	"errors"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// reconcile queries the charge of one order, and settles or releases the order. An order that was placed without a card and that no card was
// charged for expires also while the provider is unavailable.
func (r *PaymentReconciler) reconcile(ctx context.Context, o order.Order) error {
	voided, err := r.voidUncharged(ctx, o)
	switch {
	case voided:
		return r.release(ctx, o, order.CancelledAs(order.CancelExpired, ""))
	case err != nil && !errors.Is(err, order.ErrFailedPrecondition):
		return r.markUnpaid(ctx, o, err)
	}
	found, err := r.payments.Find(ctx, o.ID)
	if err != nil {
		return r.markUnpaid(ctx, o, err)
	}
	switch found.State {
	case order.ChargeSucceeded:
		return r.settle(ctx, o, found.ChargeID)
	case order.ChargeDeclined:
		if o.ExpiresAt.IsZero() {
			return r.release(ctx, o, order.CancelledAsDeclined(order.ShownDecline(o.CustomerID, found.DeclineCode)))
		}
		// Another card may be tried until the charge is voided.
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return r.release(ctx, o, r.reason(o, order.CancelPaymentVoided))
	case order.ChargeNone, order.ChargePending:
	}
	// Void comes first: it refuses a charge that is still in flight, unless that was faster.
	if err := r.payments.Void(ctx, o.ID); err != nil {
		if errors.Is(err, order.ErrFailedPrecondition) {
			return nil // Charged just now: the next iteration settles it.
		}
		return r.markUnpaid(ctx, o, err)
	}
	return r.release(ctx, o, r.reason(o, order.CancelPaymentUnknown))
}

// voidUncharged voids an order that no card was charged for, as far as the ledger alone shows that.
func (r *PaymentReconciler) voidUncharged(ctx context.Context, o order.Order) (bool, error) {
	trusted, err := stock.LedgerIsTrusted(ctx, r.stock, o)
	if err != nil || !trusted {
		return false, err
	}
	return r.payments.VoidUncharged(ctx, o.ID)
}

// markUnpaid counts the order as unpaid, because it cannot be ended while the payment service is unavailable, and returns the cause.
// Redis counts an order since it was placed, unless that was in an earlier epoch.
func (r *PaymentReconciler) markUnpaid(ctx context.Context, o order.Order, cause error) error {
	return errors.Join(cause, r.stock.MarkUnpaid(ctx, o.ID))
}

// reason returns the reason of a cancellation: expired for an order with an expiry, otherwise the given one.
func (r *PaymentReconciler) reason(o order.Order, otherwise order.CancelCode) order.CancelReason {
	if !o.ExpiresAt.IsZero() {
		return order.CancelledAs(order.CancelExpired, "")
	}
	return order.CancelledAs(otherwise, "")
}

func (r *PaymentReconciler) settle(ctx context.Context, o order.Order, chargeID string) error {
	_, err := r.stock.Settle(ctx, o.ID, chargeID, o.Trace)
	switch {
	case errors.Is(err, order.ErrNotFound): // Redis lost it after SQL had it: SQL alone decides.
		if err = r.orders.MarkPaid(ctx, o, r.now()); errors.Is(err, order.ErrFailedPrecondition) {
			return r.cancelCharged(ctx, o)
		}
	case errors.Is(err, order.ErrFailedPrecondition):
		err = r.refund(ctx, o.ID)
	}
	if err == nil && r.ended.first(o.ID) {
		r.log.DebugContext(ctx, "order with an unknown charge is paid", "order_id", o.ID)
		r.settled.add(ctx, 1)
	}
	return err
}

func (r *PaymentReconciler) release(ctx context.Context, o order.Order, reason order.CancelReason) error {
	_, err := r.stock.Release(ctx, o.ID, reason.Encode(), o.Trace)
	switch {
	case errors.Is(err, order.ErrNotFound):
		_, err = r.cancellations.Cancel(ctx, o.ID, []order.State{order.Pending}, reason, recoveryActor)
	case errors.Is(err, order.ErrFailedPrecondition): // Settled just now: the queue delivers its event to SQL.
		return nil
	}
	if err == nil && r.ended.first(o.ID) {
		r.log.DebugContext(ctx, "unpaid order cancelled", "order_id", o.ID, "code", reason.Code)
		r.released.add(ctx, 1)
	}
	return err
}

// cancelCharged cancels the row of an order that was charged after its units were returned to stock.
func (r *PaymentReconciler) cancelCharged(ctx context.Context, o order.Order) error {
	_, err := r.cancellations.Cancel(ctx, o.ID, []order.State{order.Pending}, order.CancelledAs(order.CancelChargedLate, ""), recoveryActor)
	return err
}

// refund enqueues the refund of a cancelled order.
func (r *PaymentReconciler) refund(ctx context.Context, id order.ID) error {
	return r.cancellations.Enqueue(ctx, []store.Cancellation{{OrderID: id, Reason: order.CancelledAs(order.CancelChargedLate, ""), Actor: recoveryActor}})
}
