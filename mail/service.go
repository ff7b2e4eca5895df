package mail

import (
	"context"
	"errors"
	"fmt"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// SentMails records which mails were sent.
type SentMails interface {
	// Sent reports whether the order's mail of the kind was sent.
	Sent(ctx context.Context, id order.ID, kind order.MailKind) (bool, error)
	// MarkSent records that the mail was sent. It is idempotent.
	MarkSent(ctx context.Context, id order.ID, kind order.MailKind) error
}

// Service is the EmailService. It is safe for concurrent use.
type Service struct {
	Sent     SentMails
	Sender   Sender
	Messages *Messages
}

// SendOrderMail sends a mail to the order's customer, unless the order's mail of the kind was sent before. It returns order.ErrInvalid for a mail
// that no retry can send, and order.ErrUnavailable if the Sender failed otherwise. A crash between Send and MarkSent leads to a second mail with the
// same Message-ID (docs/design/mail.md).
func (s Service) SendOrderMail(ctx context.Context, req *spillwayv1.SendOrderMailRequest) (*spillwayv1.SendOrderMailResponse, error) {
	m, err := wire.FromMailRequest(req)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.SendOrderMailResponse{}, s.send(ctx, m.Kind, m.Order, m.Refund)
}

// send composes a mail, sends it and records it, unless it was sent before.
func (s Service) send(ctx context.Context, kind order.MailKind, o order.Order, refund order.Money) error {
	if sent, err := s.Sent.Sent(ctx, o.ID, kind); err != nil || sent {
		return err
	}
	m, err := s.Messages.Write(kind, o, refund)
	if err != nil {
		return err
	}
	if err := s.Sender.Send(ctx, m, string(o.ID)+"."+string(kind)); err != nil {
		err = fmt.Errorf("send %s mail of order %s: %w", kind, o.ID, err)
		if !errors.Is(err, order.ErrInvalid) {
			err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
		}
		return err
	}
	// The mail is recorded even if the caller has left.
	return s.Sent.MarkSent(context.WithoutCancel(ctx), o.ID, kind)
}
