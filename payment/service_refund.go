package payment

import (
	"context"
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// reasonLateCharge is the reason of refunds of what the provider took although the charge was forbidden or declined.
const reasonLateCharge = "charged after it was voided or declined"

// Refund books that what is left of the charge is to be given back, once, and executes it. What the provider does not confirm now, the
// refund worker has confirmed later.
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

// ExecuteRefund has the provider do a refund that is booked, and books its confirmation.
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

func (p *Service) newRefundID() string { return string(order.NewID(0, p.Now())) }

// execute calls the provider, bounded by callCtx, and books its confirmation. It is idempotent.
func (p *Service) execute(ctx, callCtx context.Context, r order.Refund) (order.Charge, error) {
	if r.ConfirmedAt.IsZero() {
		if err := p.Provider.Refund(callCtx, r.OrderID, r.RefundID, r.Amount); err != nil {
			return order.Charge{}, fmt.Errorf("the provider has not confirmed refund %s of order %s: %w: %w", r.RefundID, r.OrderID, order.ErrUnavailable, err)
		}
	}
	return p.Ledger.ConfirmRefund(ctx, r)
}

// executeOpen executes the refunds of the charge that are not confirmed, and returns the charge as it is then. What fails is left to the
// refund worker: each refund is booked.
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

// refuse returns order.ErrFailedPrecondition for the charge of an order that must not be charged any more, once it is certain that what the provider
// took, or may yet take, goes back.
func (p *Service) refuse(ctx context.Context, held, line order.Charge, perr error) error {
	var err error
	switch {
	case held.State != order.ChargeVoided: // What was taken is on its way back.
	case line.State == order.ChargeSucceeded:
		_, err = p.returnLate(ctx, line.OrderID, line.Amount)
	case perr != nil:
		// Nobody knows whether the provider took the money, or still will: it is asked now, and again and again later.
		if ch, rerr := p.recheck(ctx, held); rerr != nil || ch.State == order.ChargeVoided {
			err = p.Ledger.Revoid(ctx, line.OrderID)
		}
	}
	if err != nil {
		return fmt.Errorf("see to the money of voided order %s: %w: %w", line.OrderID, order.ErrUnknownOutcome, err)
	}
	return fmt.Errorf("order %s must not be charged any more: %w", line.OrderID, order.ErrFailedPrecondition)
}

// recheck asks the provider whether it took the money of a voided charge all the same. It returns the charge, which is then no longer
// voided: a refund of what was taken is booked.
func (p *Service) recheck(ctx context.Context, voided order.Charge) (order.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, found, err := p.Provider.Find(callCtx, voided.OrderID)
	if err != nil {
		return voided, fmt.Errorf("ask the provider for a late charge of %s: %w: %w", voided.OrderID, order.ErrUnavailable, err)
	}
	if !found || !outcome.Succeeded {
		return voided, nil
	}
	return p.returnLate(ctx, voided.OrderID, outcome.Amount)
}

// returnLate books what the provider took although the charge is voided or declined, with a refund of all of it, and executes that.
func (p *Service) returnLate(ctx context.Context, id order.ID, amount order.Money) (order.Charge, error) {
	_, ch, err := p.Ledger.TookLate(ctx, id, amount, p.newRefundID(), reasonLateCharge)
	if err != nil {
		return order.Charge{}, fmt.Errorf("book the late charge of %s: %w: %w", id, order.ErrUnknownOutcome, err)
	}
	return p.executeOpen(ctx, ch), nil
}
