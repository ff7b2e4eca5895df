package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Payments calls a PaymentService, in this process or behind a URL.
type Payments struct {
	Client spillwayv1connect.PaymentServiceClient
	// Policy is that of all calls but charges.
	Policy *breaker.Policy
	// Charging is the policy of charges; nil in a client that makes none.
	Charging *Charging
}

// Charge takes the order's money once. A decline is an answer. order.ErrUnknownOutcome: nobody knows yet. order.ErrFailedPrecondition: the
// order was voided.
func (p Payments) Charge(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, false)
}

// ChargeAgain is Charge, except that a charge that was declined before is tried again with this card.
func (p Payments) ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	return p.charge(ctx, id, amount, card, true)
}

func (p Payments) charge(ctx context.Context, id order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error) {
	year, month := card.Expiry()
	resp, err := p.Charging.guard(ctx, id, func(ctx context.Context) (*spillwayv1.ChargeResponse, error) {
		resp, err := p.Client.Charge(ctx, &spillwayv1.ChargeRequest{
			OrderId: string(id), Amount: wire.Money(amount), Card: &spillwayv1.Card{
				Number: card.Number(), Cvv: card.CVV(), ExpiryYear: int32(year), ExpiryMonth: int32(month), //nolint:gosec // Validated at the edge.
			},
			AfterDecline: afterDecline,
		})
		return resp, FromConnect(err)
	})
	if err != nil {
		return order.Charge{}, breaker.WithOutcome(err)
	}
	ch := resp.GetCharge()
	return order.Charge{OrderID: id, ChargeID: ch.GetChargeId(), State: wire.FromChargeState(ch.GetState()), DeclineCode: ch.GetDeclineCode()}, nil
}

// Find returns the order's charge, after asking the provider where its outcome is not known. Without any its state is order.ChargeNone.
func (p Payments) Find(ctx context.Context, id order.ID) (order.Charge, error) {
	resp, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.GetChargeResponse, error) {
		resp, err := p.Client.GetCharge(ctx, &spillwayv1.GetChargeRequest{OrderId: string(id)})
		return resp, FromConnect(err)
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
func (p Payments) Refund(ctx context.Context, id order.ID, reason string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.RefundResponse, error) {
		resp, err := p.Client.Refund(ctx, &spillwayv1.RefundRequest{OrderId: string(id), Reason: reason})
		return resp, FromConnect(err)
	})
	return err
}

// ExecuteRefund has the provider give back what a booked refund says, once, and returns when it has confirmed that.
func (p Payments) ExecuteRefund(ctx context.Context, refundID string) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.ExecuteRefundResponse, error) {
		resp, err := p.Client.ExecuteRefund(ctx, &spillwayv1.ExecuteRefundRequest{RefundId: refundID})
		return resp, FromConnect(err)
	})
	return err
}

// Void makes sure that the order is never charged; order.ErrFailedPrecondition when it is already.
func (p Payments) Void(ctx context.Context, id order.ID) error {
	_, err := breaker.Call(ctx, p.Policy, func(ctx context.Context) (*spillwayv1.VoidResponse, error) {
		resp, err := p.Client.Void(ctx, &spillwayv1.VoidRequest{OrderId: string(id)})
		return resp, FromConnect(err)
	})
	return err
}

// Shipments calls a ShippingService.
type Shipments struct {
	Client spillwayv1connect.ShippingServiceClient
	Policy *breaker.Policy
}

// Quote prices a parcel in the currency.
func (s Shipments) Quote(ctx context.Context, to order.Address, items []order.Demand, currency order.Currency) (order.Money, error) {
	resp, err := breaker.Call(ctx, s.Policy, func(ctx context.Context) (*spillwayv1.GetQuoteResponse, error) {
		resp, err := s.Client.GetQuote(ctx, &spillwayv1.GetQuoteRequest{
			Address: wire.Address(to), Lines: wire.Demand(items), CurrencyCode: string(currency),
		})
		return resp, FromConnect(err)
	})
	if err != nil {
		return order.Money{}, err
	}
	return wire.FromMoney(resp.GetCost())
}

// Ship hands a paid order to the carrier, which takes it once. order.ErrUnknownOutcome: the carrier may have it. order.ErrInvalid:
// the carrier does not have it and will not take it. After any other error it was not taken this time.
func (s Shipments) Ship(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, s.Policy, func(ctx context.Context) (*spillwayv1.ShipOrderResponse, error) {
		resp, err := s.Client.ShipOrder(ctx, &spillwayv1.ShipOrderRequest{
			OrderId: string(o.ID), TrackingId: o.TrackingID, Address: wire.Address(o.Address), Lines: wire.Demand(o.Demand()),
		})
		return resp, refused(err)
	})
	if err != nil {
		return breaker.WithOutcome(err)
	}
	return nil
}

// refused is FromConnect for a service that answers `aborted` when the carrier said no.
func refused(err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && ce.Code() == connect.CodeAborted {
		return fmt.Errorf("%w: %w", order.ErrRejected, err)
	}
	return FromConnect(err)
}

// Mails calls an EmailService.
type Mails struct {
	Client spillwayv1connect.EmailServiceClient
	Policy *breaker.Policy
}

// SendConfirmation tells the customer that the order is paid.
func (m Mails) SendConfirmation(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderConfirmationResponse, error) {
		resp, err := m.Client.SendOrderConfirmation(ctx, &spillwayv1.SendOrderConfirmationRequest{Order: wire.Order(o)})
		return resp, FromConnect(err)
	})
	return err
}

// SendShipped tells the customer that the carrier has the parcel.
func (m Mails) SendShipped(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderShippedResponse, error) {
		resp, err := m.Client.SendOrderShipped(ctx, &spillwayv1.SendOrderShippedRequest{Order: wire.Order(o)})
		return resp, FromConnect(err)
	})
	return err
}

// SendCancelled tells the customer that the order was cancelled, and what was given back; zero for nothing.
func (m Mails) SendCancelled(ctx context.Context, o order.Order, refund order.Money) error {
	req := &spillwayv1.SendOrderCancelledRequest{Order: wire.Order(o)}
	if refund.Amount != 0 {
		req.Refund = wire.Money(refund)
	}
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderCancelledResponse, error) {
		resp, err := m.Client.SendOrderCancelled(ctx, req)
		return resp, FromConnect(err)
	})
	return err
}

// SendRefunded tells the customer that a part or all of the order was refunded, once a refund.
func (m Mails) SendRefunded(ctx context.Context, o order.Order, refundID string, refund order.Money) error {
	req := &spillwayv1.SendOrderRefundedRequest{Order: wire.Order(o), RefundId: refundID, Refund: wire.Money(refund)}
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderRefundedResponse, error) {
		resp, err := m.Client.SendOrderRefunded(ctx, req)
		return resp, FromConnect(err)
	})
	return err
}

// FromConnect turns the code of a service behind a URL back into the domain's error. What is no Connect error came from a
// service in this process and is the domain's already.
func FromConnect(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	switch ce.Code() { //nolint:exhaustive // The others are failures as they are.
	case connect.CodeInvalidArgument:
		return fmt.Errorf("%w: %w", order.ErrInvalid, err)
	case connect.CodeNotFound:
		return fmt.Errorf("%w: %w", order.ErrNotFound, err)
	case connect.CodeAlreadyExists:
		return fmt.Errorf("%w: %w", order.ErrAlreadyExists, err)
	case connect.CodeFailedPrecondition:
		return fmt.Errorf("%w: %w", order.ErrFailedPrecondition, err)
	case connect.CodeCanceled:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case connect.CodeResourceExhausted:
		return retryLater(ce, fmt.Errorf("%w: %w", order.ErrOverloaded, err))
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return retryLater(ce, fmt.Errorf("%w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err))
	}
	return err
}

// retryMax bounds the wait that a service may ask for.
const retryMax = time.Minute

// retryLater passes on how long the service asks to wait, if it does.
func retryLater(ce *connect.Error, err error) error {
	for _, d := range ce.Details() {
		if m, derr := d.Value(); derr == nil {
			if info, ok := m.(*errdetails.RetryInfo); ok {
				return &order.RetryError{After: min(info.GetRetryDelay().AsDuration(), retryMax), Err: err}
			}
		}
	}
	return err
}
