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

// SendOrderMail mails the order to its customer, once a kind as far as mail allows: a crash between the sending and the remembering sends
// it again, with the same Message-ID (docs/design/mail.md).
func (s Service) SendOrderMail(ctx context.Context, req *spillwayv1.SendOrderMailRequest) (*spillwayv1.SendOrderMailResponse, error) {
	m, err := wire.FromMailRequest(req)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.SendOrderMailResponse{}, s.send(ctx, m.Kind, m.Order, m.Refund)
}

func (s Service) send(ctx context.Context, kind order.MailKind, o order.Order, refund order.Money) error {
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
