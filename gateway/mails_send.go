package gateway

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Send sends the mail that the EmailService's request asks for, of whichever kind.
func (m Mails) Send(ctx context.Context, request proto.Message) error {
	_, err := breaker.Call(ctx, m.Policy, func(ctx context.Context) (struct{}, error) {
		var err error
		switch req := request.(type) {
		case *spillwayv1.SendOrderConfirmationRequest:
			_, err = m.Client.SendOrderConfirmation(ctx, req)
		case *spillwayv1.SendOrderShippedRequest:
			_, err = m.Client.SendOrderShipped(ctx, req)
		case *spillwayv1.SendOrderCancelledRequest:
			_, err = m.Client.SendOrderCancelled(ctx, req)
		case *spillwayv1.SendOrderRefundedRequest:
			_, err = m.Client.SendOrderRefunded(ctx, req)
		default:
			err = fmt.Errorf("%T asks for no mail: %w", request, order.ErrInvalid)
		}
		return struct{}{}, FromConnect(err)
	})
	return err
}
