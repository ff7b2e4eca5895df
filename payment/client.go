package payment

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client calls a PaymentService, in this process or behind a URL.
type Client struct {
	Service spillwayv1connect.PaymentServiceClient
	// Policy is that of all calls but charges.
	Policy *breaker.Policy
	// Charging is the policy of charges; nil in a client that makes none.
	Charging *Charging
}

// Charge takes the order's money once. A decline is an answer. order.ErrUnknownOutcome: nobody knows yet. order.ErrFailedPrecondition: the
// order was voided.
func (p Client) Charge(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, false)
}

// ChargeAgain is Charge, except that a charge that was declined before is tried again with this card.
func (p Client) ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, true)
}

func (p Client) charge(ctx context.Context, id order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error) {
	year, month := card.Expiry()
	resp, err := p.Charging.guard(ctx, id, func(ctx context.Context) (*spillwayv1.ChargeResponse, error) {
		resp, err := p.Service.Charge(ctx, &spillwayv1.ChargeRequest{
			OrderId: string(id), Amount: wire.Money(amount), Card: &spillwayv1.Card{
				Number: card.Number(), Cvv: card.CVV(), ExpiryYear: int32(year), ExpiryMonth: int32(month), //nolint:gosec // Validated at the edge.
			},
			AfterDecline: afterDecline,
		})
		return resp, wire.FromConnect(err)
	})
	if err != nil {
		return order.Charge{}, breaker.WithOutcome(err)
	}
	ch := resp.GetCharge()
	return order.Charge{OrderID: id, ChargeID: ch.GetChargeId(), State: wire.FromChargeState(ch.GetState()), DeclineCode: ch.GetDeclineCode()}, nil
}

// Find returns the order's charge, after asking the provider where its outcome is not known. Without any its state is order.ChargeNone.
func (p Client) Find(ctx context.Context, id order.ID) (order.Charge, error) {
	resp, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.GetChargeResponse, error) {
		resp, err := p.Service.GetCharge(ctx, &spillwayv1.GetChargeRequest{OrderId: string(id)})
		return resp, wire.FromConnect(err)
	})
	if errors.Is(err, order.ErrNotFound) {
		return order.Charge{OrderID: id}, nil
	}
	if err != nil {
		return order.Charge{}, err
	}
	found := resp.GetCharge()
	ch := order.Charge{OrderID: id, ChargeID: found.GetChargeId(), State: wire.FromChargeState(found.GetState()), DeclineCode: found.GetDeclineCode()}
	if ch.Amount, err = wire.FromMoney(found.GetAmount()); err != nil && ch.State.Taken() {
		return order.Charge{}, fmt.Errorf("the charge of %s: %w", id, err)
	}
	return ch, nil
}

// Refund asks for all of the order's money to be given back, once; order.ErrFailedPrecondition when nothing was taken. After nil that is certain to
// happen; Find says whether the provider has confirmed it.
func (p Client) Refund(ctx context.Context, id order.ID, reason string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.RefundResponse, error) {
		resp, err := p.Service.Refund(ctx, &spillwayv1.RefundRequest{OrderId: string(id), Reason: reason})
		return resp, wire.FromConnect(err)
	})
	return err
}

// ExecuteRefund has the provider give back what a booked refund says, once, and returns when it has confirmed that.
func (p Client) ExecuteRefund(ctx context.Context, refundID string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.ExecuteRefundResponse, error) {
		resp, err := p.Service.ExecuteRefund(ctx, &spillwayv1.ExecuteRefundRequest{RefundId: refundID})
		return resp, wire.FromConnect(err)
	})
	return err
}

// Void makes sure that the order is never charged; order.ErrFailedPrecondition when it is already.
func (p Client) Void(ctx context.Context, id order.ID) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.VoidResponse, error) {
		resp, err := p.Service.Void(ctx, &spillwayv1.VoidRequest{OrderId: string(id)})
		return resp, wire.FromConnect(err)
	})
	return err
}
