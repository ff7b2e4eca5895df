package wire

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// TypeMail is the type of the payload of a dead letter that is a mail.
var TypeMail = TypeOf(&spillwayv1.SendOrderMailRequest{})

var mailKindToWire = map[order.MailKind]spillwayv1.MailKind{
	order.MailConfirmation: spillwayv1.MailKind_MAIL_KIND_CONFIRMATION,
	order.MailShipped:      spillwayv1.MailKind_MAIL_KIND_SHIPPED,
	order.MailCancelled:    spillwayv1.MailKind_MAIL_KIND_CANCELLED,
	order.MailRefund:       spillwayv1.MailKind_MAIL_KIND_REFUND,
}

// MailRequest makes the request for a mail. A kind that is unknown becomes UNSPECIFIED.
func MailRequest(m order.Mail) *spillwayv1.SendOrderMailRequest {
	req := &spillwayv1.SendOrderMailRequest{Kind: mailKindToWire[m.Kind.Base()], Order: Order(m.Order)}
	if m.Refund.Amount != 0 {
		req.Refund = Money(m.Refund)
	}
	if id, ok := m.Kind.RefundID(); ok {
		req.RefundId = id
	}
	return req
}

// MailsRequest makes the request for a batch of mails.
func MailsRequest(mails []order.Mail) *spillwayv1.SendOrderMailsRequest {
	req := &spillwayv1.SendOrderMailsRequest{Mails: make([]*spillwayv1.SendOrderMailRequest, len(mails))}
	for i, m := range mails {
		req.Mails[i] = MailRequest(m)
	}
	return req
}

// MailResult converts the result of a mail that was not sent: order.ErrInvalid, order.ErrOverloaded if there was no time for it,
// order.ErrNotSent if the mail server is unavailable, or any other error if a retry may send it. nil means that it was sent.
func MailResult(err error) *spillwayv1.SendOrderMailResult {
	out := &spillwayv1.SendOrderMailResult{Outcome: spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_SENT}
	if err == nil {
		return out
	}
	out.Reason = strings.ToValidUTF8(err.Error(), "\uFFFD")
	switch {
	case errors.Is(err, order.ErrInvalid):
		out.Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_REJECTED
	case errors.Is(err, order.ErrNotSent):
		out.Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_UNAVAILABLE
	case errors.Is(err, order.ErrOverloaded):
		out.Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_NOT_TRIED
	default:
		out.Outcome = spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_FAILED
	}
	return out
}

// FromMailResult reads a result. It returns nil for a mail that was sent, now or before, or is skipped, and otherwise the errors of MailResult. An outcome
// that this version does not know is order.ErrUnavailable.
func FromMailResult(r *spillwayv1.SendOrderMailResult) error {
	switch r.GetOutcome() {
	case spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_SENT, spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_ALREADY_SENT,
		spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_SKIPPED:
		return nil
	case spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_REJECTED:
		return fmt.Errorf("%s: %w", r.GetReason(), order.ErrInvalid)
	case spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_NOT_TRIED:
		return fmt.Errorf("%s: %w", r.GetReason(), order.ErrOverloaded)
	case spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_UNAVAILABLE:
		return fmt.Errorf("%s: %w: %w", r.GetReason(), order.ErrNotSent, order.ErrUnavailable)
	case spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_FAILED, spillwayv1.SendOrderMailOutcome_SEND_ORDER_MAIL_OUTCOME_UNSPECIFIED:
	}
	return fmt.Errorf("%s: %w", r.GetReason(), order.ErrUnavailable)
}

// FromMailRequest reads a request. It fails with order.ErrInvalid unless the kind is known, the order is valid, and a mail of a refund
// has its id and amount.
func FromMailRequest(req *spillwayv1.SendOrderMailRequest) (order.Mail, error) {
	o, err := FromOrder(req.GetOrder())
	if err != nil {
		return order.Mail{}, err
	}
	m := order.Mail{Order: o}
	if req.GetRefund() != nil {
		if m.Refund, err = FromMoney(req.GetRefund()); err != nil {
			return order.Mail{}, err
		}
	}
	if m.Kind, err = fromMailKind(req); err != nil {
		return order.Mail{}, err
	}
	return m, m.Validate()
}

func fromMailKind(req *spillwayv1.SendOrderMailRequest) (order.MailKind, error) {
	for kind, msg := range mailKindToWire {
		switch {
		case msg != req.GetKind():
		case kind == order.MailRefund:
			return order.RefundMail(req.GetRefundId()), nil
		default:
			return kind, nil
		}
	}
	return "", fmt.Errorf("there is no mail of kind %v: %w", req.GetKind(), order.ErrInvalid)
}

// mailPayload is plain for mails, and also checks their kind and refund.
func mailPayload() payload {
	p := plain(func() proto.Message { return &spillwayv1.SendOrderMailRequest{} })
	p.check = func(raw []byte) (string, error) {
		m, err := UnmarshalMail(TypeMail, raw)
		return string(m.Order.ID), err
	}
	return p
}

// olderMails are the requests of versions with an RPC for each kind. Dead letters of those versions hold them.
var olderMails = map[string]struct {
	kind  spillwayv1.MailKind
	empty func() proto.Message
}{
	TypeOf(&spillwayv1.SendOrderConfirmationRequest{}): {
		spillwayv1.MailKind_MAIL_KIND_CONFIRMATION,
		func() proto.Message { return &spillwayv1.SendOrderConfirmationRequest{} },
	},
	TypeOf(&spillwayv1.SendOrderShippedRequest{}): {
		spillwayv1.MailKind_MAIL_KIND_SHIPPED,
		func() proto.Message { return &spillwayv1.SendOrderShippedRequest{} },
	},
	TypeOf(&spillwayv1.SendOrderCancelledRequest{}): {
		spillwayv1.MailKind_MAIL_KIND_CANCELLED,
		func() proto.Message { return &spillwayv1.SendOrderCancelledRequest{} },
	},
	TypeOf(&spillwayv1.SendOrderRefundedRequest{}): {
		spillwayv1.MailKind_MAIL_KIND_REFUND,
		func() proto.Message { return &spillwayv1.SendOrderRefundedRequest{} },
	},
}

// IsMail reports whether payloads of the type are mails.
func IsMail(typ string) bool {
	_, older := olderMails[typ]
	return older || typ == TypeMail
}

// UnmarshalMail reads a payload of a type for which IsMail is true.
func UnmarshalMail(typ string, raw []byte) (order.Mail, error) {
	req := &spillwayv1.SendOrderMailRequest{}
	if older, ok := olderMails[typ]; ok {
		m := older.empty()
		if err := proto.Unmarshal(raw, m); err != nil {
			return order.Mail{}, fmt.Errorf("unmarshal the request for a mail: %w", err)
		}
		req.Kind, req.Order = older.kind, orderOf(m)
		if r, ok := m.(interface{ GetRefund() *spillwayv1.Money }); ok {
			req.Refund = r.GetRefund()
		}
		if r, ok := m.(interface{ GetRefundId() string }); ok {
			req.RefundId = r.GetRefundId()
		}
	} else if err := proto.Unmarshal(raw, req); err != nil {
		return order.Mail{}, fmt.Errorf("unmarshal the request for a mail: %w", err)
	}
	return FromMailRequest(req)
}
