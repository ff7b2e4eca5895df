package mail

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client calls an EmailService.
type Client struct {
	Service spillwayv1connect.EmailServiceClient
	Policy  *breaker.Policy
}

// SendConfirmation tells the customer that the order is paid.
func (m Client) SendConfirmation(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderConfirmationResponse, error) {
		resp, err := m.Service.SendOrderConfirmation(ctx, &spillwayv1.SendOrderConfirmationRequest{Order: wire.Order(o)})
		return resp, wire.FromConnect(err)
	})
	return err
}

// SendShipped tells the customer that the carrier has the parcel.
func (m Client) SendShipped(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderShippedResponse, error) {
		resp, err := m.Service.SendOrderShipped(ctx, &spillwayv1.SendOrderShippedRequest{Order: wire.Order(o)})
		return resp, wire.FromConnect(err)
	})
	return err
}

// SendCancelled tells the customer that the order was cancelled, and what was given back; zero for nothing.
func (m Client) SendCancelled(ctx context.Context, o order.Order, refund order.Money) error {
	req := &spillwayv1.SendOrderCancelledRequest{Order: wire.Order(o)}
	if refund.Amount != 0 {
		req.Refund = wire.Money(refund)
	}
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderCancelledResponse, error) {
		resp, err := m.Service.SendOrderCancelled(ctx, req)
		return resp, wire.FromConnect(err)
	})
	return err
}

// SendRefunded tells the customer that a part or all of the order was refunded, once a refund.
func (m Client) SendRefunded(ctx context.Context, o order.Order, refundID string, refund order.Money) error {
	req := &spillwayv1.SendOrderRefundedRequest{Order: wire.Order(o), RefundId: refundID, Refund: wire.Money(refund)}
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (*spillwayv1.SendOrderRefundedResponse, error) {
		resp, err := m.Service.SendOrderRefunded(ctx, req)
		return resp, wire.FromConnect(err)
	})
	return err
}

// Send sends the mail that the EmailService's request asks for, of whichever kind.
func (m Client) Send(ctx context.Context, request proto.Message) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (struct{}, error) {
		var err error
		switch req := request.(type) {
		case *spillwayv1.SendOrderConfirmationRequest:
			_, err = m.Service.SendOrderConfirmation(ctx, req)
		case *spillwayv1.SendOrderShippedRequest:
			_, err = m.Service.SendOrderShipped(ctx, req)
		case *spillwayv1.SendOrderCancelledRequest:
			_, err = m.Service.SendOrderCancelled(ctx, req)
		case *spillwayv1.SendOrderRefundedRequest:
			_, err = m.Service.SendOrderRefunded(ctx, req)
		default:
			err = fmt.Errorf("%T asks for no mail: %w", request, order.ErrInvalid)
		}
		return struct{}{}, wire.FromConnect(err)
	})
	return err
}
