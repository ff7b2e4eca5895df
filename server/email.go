package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/gateway"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// MailBook remembers which mails were sent.
type MailBook interface {
	Sent(ctx context.Context, id order.ID, kind order.MailKind) (bool, error)
	MarkSent(ctx context.Context, id order.ID, kind order.MailKind) error
}

// Email is the EmailService.
type Email struct {
	Book    MailBook
	Mailer  gateway.Mailer
	Letters *gateway.Letters
}

// SendOrderConfirmation tells the customer that the order is paid.
func (e Email) SendOrderConfirmation(ctx context.Context, req *spillwayv1.SendOrderConfirmationRequest) (*spillwayv1.SendOrderConfirmationResponse, error) {
	return &spillwayv1.SendOrderConfirmationResponse{}, e.send(ctx, order.MailConfirmation, req.GetOrder(), order.Money{})
}

// SendOrderShipped tells the customer that the carrier has the parcel.
func (e Email) SendOrderShipped(ctx context.Context, req *spillwayv1.SendOrderShippedRequest) (*spillwayv1.SendOrderShippedResponse, error) {
	return &spillwayv1.SendOrderShippedResponse{}, e.send(ctx, order.MailShipped, req.GetOrder(), order.Money{})
}

// SendOrderCancelled tells the customer that the order was cancelled, and what was given back.
func (e Email) SendOrderCancelled(ctx context.Context, req *spillwayv1.SendOrderCancelledRequest) (*spillwayv1.SendOrderCancelledResponse, error) {
	var refund order.Money
	if req.GetRefund() != nil {
		var err error
		if refund, err = wire.FromMoney(req.GetRefund()); err != nil {
			return nil, err
		}
	}
	return &spillwayv1.SendOrderCancelledResponse{}, e.send(ctx, order.MailCancelled, req.GetOrder(), refund)
}

// SendOrderRefunded tells the customer that a part or all of the order was refunded.
func (e Email) SendOrderRefunded(ctx context.Context, req *spillwayv1.SendOrderRefundedRequest) (*spillwayv1.SendOrderRefundedResponse, error) {
	id, err := order.ParseID(req.GetRefundId()) // Refunds have ids of the same form.
	if err != nil {
		return nil, fmt.Errorf("%q is not the id of a refund: %w", req.GetRefundId(), order.ErrInvalid)
	}
	refund, err := wire.FromMoney(req.GetRefund())
	if err != nil {
		return nil, err
	}
	if refund.Amount <= 0 {
		return nil, fmt.Errorf("refund %s is of %s: %w", id, refund, order.ErrInvalid)
	}
	return &spillwayv1.SendOrderRefundedResponse{}, e.send(ctx, order.RefundMail(string(id)), req.GetOrder(), refund)
}

// send mails the order to its customer, once a kind as far as mail allows: a crash between the sending and the remembering sends it
// again, with the same Message-ID (docs/design/mail.md).
func (e Email) send(ctx context.Context, kind order.MailKind, msg *spillwayv1.Order, refund order.Money) error {
	o, err := wire.FromOrder(msg)
	if err != nil {
		return err
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		return err
	}
	if sent, err := e.Book.Sent(ctx, o.ID, kind); err != nil || sent {
		return err
	}
	m, err := e.Letters.Write(kind, o, refund)
	if err != nil {
		return err
	}
	if err := e.Mailer.Send(ctx, m, string(o.ID)+"."+string(kind)); err != nil {
		err = fmt.Errorf("mail the %s of %s: %w", kind, o.ID, err)
		if !errors.Is(err, order.ErrInvalid) {
			err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
		}
		return err
	}
	// It is out, whether the caller still listens or not.
	return e.Book.MarkSent(context.WithoutCancel(ctx), o.ID, kind)
}
