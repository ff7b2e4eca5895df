package server

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/gateway"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// MailBook remembers which mails were sent.
type MailBook interface {
	Sent(ctx context.Context, id order.ID, kind string) (bool, error)
	MarkSent(ctx context.Context, id order.ID, kind string) error
}

// Email is the EmailService.
type Email struct {
	spillwayv1connect.UnimplementedEmailServiceHandler

	Book          MailBook
	Mailer        gateway.Mailer
	Confirmations *gateway.Confirmations
}

// kindConfirmation is the mail that confirms an order.
const kindConfirmation = "confirmation"

// SendOrderConfirmation mails the order to its customer, once as far as mail allows: a crash between the sending and the
// remembering sends it again, and its Message-ID is the same.
func (e Email) SendOrderConfirmation(ctx context.Context, req *spillwayv1.SendOrderConfirmationRequest) (*spillwayv1.SendOrderConfirmationResponse, error) {
	o, err := wire.FromOrder(req.GetOrder())
	if err != nil {
		return nil, err
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		return nil, err
	}
	if sent, err := e.Book.Sent(ctx, o.ID, kindConfirmation); err != nil || sent {
		return &spillwayv1.SendOrderConfirmationResponse{}, err
	}
	m, err := e.Confirmations.For(o)
	if err != nil {
		return nil, err
	}
	if err := e.Mailer.Send(ctx, m, string(o.ID)+"."+kindConfirmation); err != nil {
		return nil, fmt.Errorf("mail the confirmation of %s: %w: %w", o.ID, order.ErrUnavailable, err)
	}
	return &spillwayv1.SendOrderConfirmationResponse{}, e.Book.MarkSent(ctx, o.ID, kindConfirmation)
}
