package onlineboutique

import (
	"context"

	"github.com/spillway/spillway/gen/hipstershop"
	"github.com/spillway/spillway/order"
)

// mails is the EmailService.
type mails struct{ Shop }

// SendOrderConfirmation sends no mail: the workers confirm the orders of this shop.
func (m mails) SendOrderConfirmation(ctx context.Context, req *hipstershop.SendOrderConfirmationRequest) (*hipstershop.Empty, error) {
	if req.GetEmail() == "" || req.GetOrder().GetOrderId() == "" {
		return nil, order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "email and order.order_id are needed")
	}
	m.withoutOrder(ctx, "EmailService/SendOrderConfirmation sent no mail")
	return &hipstershop.Empty{}, nil
}
