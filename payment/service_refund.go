package payment

import (
	"context"
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// reasonLateCharge is the reason of the refund of a charge that the provider made although it was voided or declined.
const reasonLateCharge = "charged after it was voided or declined"

// Refund records a refund of the rest of the charge, once, and executes it. If the provider does not confirm it now, the refund retrier
// executes it again later. It returns order.ErrFailedPrecondition if the order was not charged.
func (p *Service) Refund(ctx context.Context, req *spillwayv1.RefundRequest) (*spillwayv1.RefundResponse, error) {
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	refund, ch, err := p.Ledger.Refund(ctx, id, p.newRefundID(), req.GetReason())
	if err != nil {
		return nil, err
	}
	return &spillwayv1.RefundResponse{RefundId: refund.RefundID, Charge: chargeMessage(p.executeOpen(ctx, ch))}, nil
}

// ExecuteRefund executes a recorded refund at the provider and records the confirmation. It returns order.ErrUnavailable if the provider has
// not confirmed the refund within providerTimeout; a caller may retry.
func (p *Service) ExecuteRefund(ctx context.Context, req *spillwayv1.ExecuteRefundRequest) (*spillwayv1.ExecuteRefundResponse, error) {
	refund, err := p.Ledger.GetRefund(ctx, req.GetRefundId())
	if err != nil {
		return nil, err
	}
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	ch, err := p.execute(ctx, callCtx, refund)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.ExecuteRefundResponse{Charge: chargeMessage(ch)}, nil
}

// newRefundID returns a new refund id, which has the form of an order id.
func (p *Service) newRefundID() string { return string(order.NewID(0, p.Now())) }

// execute calls the provider, bounded by callCtx, and records the confirmation. It is idempotent.
func (p *Service) execute(ctx, callCtx context.Context, r order.Refund) (order.Charge, error) {
	if r.ConfirmedAt.IsZero() {
		if err := p.Provider.Refund(callCtx, r.OrderID, r.RefundID, r.Amount); err != nil {
			return order.Charge{}, fmt.Errorf("refund %s of order %s is not confirmed by the provider: %w: %w", r.RefundID, r.OrderID, order.ErrUnavailable, err)
		}
	}
	return p.Ledger.ConfirmRefund(ctx, r)
}

// executeOpen executes the unconfirmed refunds of the charge and returns the charge after them. It returns no error, because each refund is
// recorded and the refund retrier executes the remaining ones.
func (p *Service) executeOpen(ctx context.Context, ch order.Charge) order.Charge {
	if ch.State != order.ChargeRefunding {
		return ch
	}
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	open, err := p.Ledger.OpenRefunds(ctx, ch.OrderID)
	for _, r := range open {
		now, xerr := p.execute(ctx, callCtx, r)
		if err != nil || xerr != nil {
			break
		}
		ch = now
	}
	return ch
}

// refuse returns order.ErrFailedPrecondition for the charge of a voided or refunded order, after the ledger ensures that any money which the
// provider took, or may yet take, is refunded.
func (p *Service) refuse(ctx context.Context, stored, made order.Charge, perr error) error {
	var err error
	switch {
	case stored.State != order.ChargeVoided: // A refund is recorded.
	case made.State == order.ChargeSucceeded:
		_, err = p.refundLate(ctx, made.OrderID, made.Amount)
	case perr != nil:
		// The outcome at the provider is unknown. It is queried now, and again by the scheduled rechecks.
		if ch, rerr := p.recheck(ctx, stored); rerr != nil || ch.State == order.ChargeVoided {
			err = p.Ledger.RestartRechecks(ctx, made.OrderID)
		}
	}
	if err != nil {
		return fmt.Errorf("record a late charge of voided order %s: %w: %w", made.OrderID, order.ErrUnknownOutcome, err)
	}
	return fmt.Errorf("order %s is voided or refunded: %w", made.OrderID, order.ErrFailedPrecondition)
}

// recheck queries the provider for a late charge of a voided order. If there is one, recheck records it with a refund and returns a charge that
// is no longer voided.
func (p *Service) recheck(ctx context.Context, voided order.Charge) (order.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, found, err := p.Provider.Find(callCtx, voided.OrderID)
	if err != nil {
		return voided, fmt.Errorf("query the provider for a late charge of %s: %w: %w", voided.OrderID, order.ErrUnavailable, err)
	}
	if !found || !outcome.Succeeded {
		return voided, nil
	}
	return p.refundLate(ctx, voided.OrderID, outcome.Amount)
}

// refundLate records a charge that the provider made although it is voided or declined here, with a refund of all of it, and executes the refund.
func (p *Service) refundLate(ctx context.Context, id order.ID, amount order.Money) (order.Charge, error) {
	_, ch, err := p.Ledger.BookLateCharge(ctx, id, amount, p.newRefundID(), reasonLateCharge)
	if err != nil {
		return order.Charge{}, fmt.Errorf("record the late charge of %s: %w: %w", id, order.ErrUnknownOutcome, err)
	}
	return p.executeOpen(ctx, ch), nil
}
