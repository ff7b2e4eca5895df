package workers

import (
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// outgoingMail is a mail to be sent.
type outgoingMail struct {
	order.Mail
	// trace is the W3C trace context of the request that caused it, or empty; see package tracing.
	trace string
}

// deadLetter returns the mail's dead letter. Its payload is the request, to be sent again, or the order if the kind is unknown.
func (m outgoingMail) deadLetter(attempts int, reason error) (f store.DeadLetter, err error) {
	f = store.DeadLetter{
		DedupKey: store.MailKey(m.Order.ID, m.Kind), Source: store.MailerSource, OrderID: string(m.Order.ID), Reason: oneLine(reason),
		TraceID: wire.TraceID(m.trace), Attempts: attempts,
	}
	if req := wire.MailRequest(m.Mail); req.GetKind() != spillwayv1.MailKind_MAIL_KIND_UNSPECIFIED {
		f.PayloadType = wire.TypeOf(req)
		f.Payload, err = proto.Marshal(req)
		return f, err
	}
	f.PayloadType = wire.TypeSnapshot
	f.Payload, err = wire.MarshalSnapshot(m.Order)
	return f, err
}
