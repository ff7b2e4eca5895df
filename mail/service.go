package mail

import (
	"context"
	"errors"
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// SentMails remembers which mails were sent.
type SentMails interface {
	Sent(ctx context.Context, id order.ID, kind order.MailKind) (bool, error)
	MarkSent(ctx context.Context, id order.ID, kind order.MailKind) error
}

// Service is the EmailService.
type Service struct {
	Sent     SentMails
	Sender   Sender
	Messages *Messages
}

// SendOrderConfirmation tells the customer that the order is paid.
func (s Service) SendOrderConfirmation(ctx context.Context, req *spillwayv1.SendOrderConfirmationRequest) (*spillwayv1.SendOrderConfirmationResponse, error) {
	return &spillwayv1.SendOrderConfirmationResponse{}, s.send(ctx, order.MailConfirmation, req.GetOrder(), order.Money{})
}

// SendOrderShipped tells the customer that the carrier has the parcel.
func (s Service) SendOrderShipped(ctx context.Context, req *spillwayv1.SendOrderShippedRequest) (*spillwayv1.SendOrderShippedResponse, error) {
	return &spillwayv1.SendOrderShippedResponse{}, s.send(ctx, order.MailShipped, req.GetOrder(), order.Money{})
}

// SendOrderCancelled tells the customer that the order was cancelled, and what was given back.
func (s Service) SendOrderCancelled(ctx context.Context, req *spillwayv1.SendOrderCancelledRequest) (*spillwayv1.SendOrderCancelledResponse, error) {
	var refund order.Money
	if req.GetRefund() != nil {
		var err error
		if refund, err = wire.FromMoney(req.GetRefund()); err != nil {
			return nil, err
		}
	}
	return &spillwayv1.SendOrderCancelledResponse{}, s.send(ctx, order.MailCancelled, req.GetOrder(), refund)
}

// SendOrderRefunded tells the customer that a part or all of the order was refunded.
func (s Service) SendOrderRefunded(ctx context.Context, req *spillwayv1.SendOrderRefundedRequest) (*spillwayv1.SendOrderRefundedResponse, error) {
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
	return &spillwayv1.SendOrderRefundedResponse{}, s.send(ctx, order.RefundMail(string(id)), req.GetOrder(), refund)
}

// send mails the order to its customer, once a kind as far as mail allows: a crash between the sending and the remembering sends it
// again, with the same Message-ID (docs/design/mail.md).
func (s Service) send(ctx context.Context, kind order.MailKind, msg *spillwayv1.Order, refund order.Money) error {
	o, err := wire.FromOrder(msg)
	if err != nil {
		return err
	}
	if _, err := order.ParseID(string(o.ID)); err != nil {
		return err
	}
	if sent, err := s.Sent.Sent(ctx, o.ID, kind); err != nil || sent {
		return err
	}
	m, err := s.Messages.Write(kind, o, refund)
	if err != nil {
		return err
	}
	if err := s.Sender.Send(ctx, m, string(o.ID)+"."+string(kind)); err != nil {
		err = fmt.Errorf("mail the %s of %s: %w", kind, o.ID, err)
		if !errors.Is(err, order.ErrInvalid) {
			err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
		}
		return err
	}
	// It is out, whether the caller still listens or not.
	return s.Sent.MarkSent(context.WithoutCancel(ctx), o.ID, kind)
}
