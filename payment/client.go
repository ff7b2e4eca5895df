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

// Client calls a PaymentService, in this process or behind a URL, under breaker policies. It is safe for concurrent use and does not retry. All
// its calls are idempotent, so that a caller may repeat them.
type Client struct {
	Service spillwayv1connect.PaymentServiceClient
	// Local makes the charges if it is not nil. It is the Service of this process, so that a charge needs no messages and no timer: Local
	// bounds it by providerTimeout and the timeouts of SQL.
	Local Charger
	// Policy is the breaker policy of all calls except charges and VoidUncharged.
	Policy *breaker.Policy
	// Ledger is the breaker policy of VoidUncharged. It may be nil in a client that does not call that.
	Ledger *breaker.Policy
	// Charging guards charges. It may be nil in a client that makes none.
	Charging *Charging
}

// Charger makes charges in this process. Its errors are those of Service.Charge.
type Charger interface {
	ChargeCard(ctx context.Context, id order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error)
	// Ready returns an order.RetryError of order.ErrUnavailable while the outcome of a charge could not be recorded.
	Ready() error
}

// Ready returns an order.RetryError of order.ErrUnavailable while the breaker of charges is open, so that a charge would not be sent, or while a
// service of this process could not record its outcome.
func (p Client) Ready() error {
	if p.Charging == nil {
		return nil
	}
	if err := p.Charging.policy.Check(); err != nil || p.Local == nil {
		return err
	}
	return p.Local.Ready()
}

// Charge charges the order once. A declined card is no error: the returned charge has the state DECLINED. Charge returns
// order.ErrUnknownOutcome if the card may have been charged, in which case Find returns the outcome later, order.ErrFailedPrecondition if
// the order was voided or refunded, and order.ErrAlreadyExists if the order was charged another amount.
func (p Client) Charge(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, false)
}

// ChargeAgain is Charge, except that it retries a declined charge with this card, up to order.MaxChargeAttempts attempts for an order.
func (p Client) ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, true)
}

func (p Client) charge(ctx context.Context, id order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error) {
	ch, err := p.Charging.guard(ctx, id, p.Local != nil, func(ctx context.Context) (order.Charge, error) {
		if p.Local != nil {
			return p.Local.ChargeCard(ctx, id, amount, card, afterDecline)
		}
		return p.send(ctx, id, amount, card, afterDecline)
	})
	if err != nil {
		return order.Charge{}, breaker.WithOutcome(err)
	}
	return order.Charge{OrderID: id, ChargeID: ch.ChargeID, State: ch.State, DeclineCode: ch.DeclineCode}, nil
}

// guard calls charge for an order under the policy. A local service bounds its charges itself.
func (c *Charging) guard(ctx context.Context, id order.ID, local bool, charge func(context.Context) (order.Charge, error)) (order.Charge, error) {
	if local {
		return breaker.CallLocal(ctx, chargeBreaker{c, id}, c.policy, charge)
	}
	return breaker.CallUnder(ctx, chargeBreaker{c, id}, c.policy, charge)
}

// send sends a charge to the service.
func (p Client) send(ctx context.Context, id order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error) {
	year, month := card.Expiry()
	resp, err := p.Service.Charge(ctx, &spillwayv1.ChargeRequest{
		OrderId: string(id), Amount: wire.Money(amount), Card: &spillwayv1.Card{
			Number: card.Number(), Cvv: card.CVV(), ExpiryYear: int32(year), ExpiryMonth: int32(month), //nolint:gosec // Validated at the edge.
		},
		AfterDecline: afterDecline,
	})
	if err != nil {
		return order.Charge{}, wire.FromConnect(err)
	}
	ch := resp.GetCharge()
	return order.Charge{ChargeID: ch.GetChargeId(), State: wire.FromChargeState(ch.GetState()), DeclineCode: ch.GetDeclineCode()}, nil
}

// Find returns the order's charge. If its outcome is unknown, the service queries the provider. Without a charge the state is order.ChargeNone.
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
		return order.Charge{}, fmt.Errorf("charge of %s: %w", id, err)
	}
	return ch, nil
}

// Refund refunds the rest of the order's charge, once. It returns order.ErrFailedPrecondition if nothing was charged. After nil the refund is
// recorded and will be executed; Find returns whether the provider has confirmed it.
func (p Client) Refund(ctx context.Context, id order.ID, reason string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.RefundResponse, error) {
		resp, err := p.Service.Refund(ctx, &spillwayv1.RefundRequest{OrderId: string(id), Reason: reason})
		return resp, wire.FromConnect(err)
	})
	return err
}

// ExecuteRefund executes a recorded refund at the provider, once, and returns nil when the provider has confirmed it. It returns
// order.ErrUnavailable if the provider has not, so that a caller may retry.
func (p Client) ExecuteRefund(ctx context.Context, refundID string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.ExecuteRefundResponse, error) {
		resp, err := p.Service.ExecuteRefund(ctx, &spillwayv1.ExecuteRefundRequest{RefundId: refundID})
		return resp, wire.FromConnect(err)
	})
	return err
}

// Void ensures that the order is never charged. It returns order.ErrFailedPrecondition if the order has been charged.
func (p Client) Void(ctx context.Context, id order.ID) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.VoidResponse, error) {
		resp, err := p.Service.Void(ctx, &spillwayv1.VoidRequest{OrderId: string(id)})
		return resp, wire.FromConnect(err)
	})
	return err
}

// VoidUncharged ensures that an order is never charged of which no card was charged, as the ledger alone shows: it does not wait for the provider. It is
// for orders that are charged with ChargeAgain only. It returns false if the outcome of a charge is not known, so that Void has to query the
// provider, and order.ErrFailedPrecondition if the order has been charged.
func (p Client) VoidUncharged(ctx context.Context, id order.ID) (bool, error) {
	resp, err := breaker.Call(ctx, p.Ledger, func(ctx context.Context) (*spillwayv1.VoidResponse, error) {
		resp, err := p.Service.Void(ctx, &spillwayv1.VoidRequest{OrderId: string(id), IfUncharged: true})
		return resp, wire.FromConnect(err)
	})
	return err == nil && wire.FromChargeState(resp.GetCharge().GetState()) == order.ChargeVoided, err
}
