package mail

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/order"
)

const scope = "github.com/spillway/spillway/mail"

// The values of the attribute reason of spillway.mail.failed.
const (
	reasonRefused     = "refused"         // no retry can send it
	reasonUnavailable = "unavailable"     // the mail server could not be reached, so that the mail was not tried
	reasonNotTried    = "not_tried"       // no time was left for it, or another call sends it
	reasonSkipped     = "recipient_limit" // its address has had its mails of the hour; it is never sent
	reasonFailed      = "failed"          // the mail server did not accept it this time
)

// otherKind is the value of the attribute kind for mails of an unknown kind.
const otherKind = "other"

// Metrics counts the mails of a Service. A nil Metrics counts nothing.
type Metrics struct {
	sent, failed metric.Int64Counter
}

// NewMetrics makes the instruments, of the global meter provider.
func NewMetrics() (*Metrics, error) {
	meter := otel.Meter(scope)
	m := &Metrics{}
	var errs [2]error
	m.sent, errs[0] = meter.Int64Counter("spillway.mail.sent", metric.WithUnit("{mails}"),
		metric.WithDescription("Mails that the mail server accepted, by kind."))
	m.failed, errs[1] = meter.Int64Counter("spillway.mail.failed", metric.WithUnit("{mails}"),
		metric.WithDescription("Mails that were not sent, by kind and reason; each retry that fails is counted."))
	return m, errors.Join(errs[:]...)
}

// failureKey is what a mail that was not sent is counted by.
type failureKey struct{ kind, reason string }

// count counts the mails of a batch. Mails that were sent before are not counted.
func (m *Metrics) count(ctx context.Context, b *batch) {
	if m == nil {
		return
	}
	sent, failed := make(map[string]int64), make(map[failureKey]int64)
	for _, e := range b.entries {
		switch {
		case e.counted, b.before[e.mail.ID()]:
		case e.err == nil && e.skipped != "":
			failed[failureKey{kindOf(e.mail), reasonSkipped}]++
		case e.err == nil:
			sent[kindOf(e.mail)]++
		default:
			failed[failureKey{kindOf(e.mail), reasonOf(e.err)}]++
		}
		e.counted = true
	}
	for kind, n := range sent {
		m.sent.Add(ctx, n, metric.WithAttributes(attribute.String("kind", kind)))
	}
	for key, n := range failed {
		m.failed.Add(ctx, n, metric.WithAttributes(attribute.String("kind", key.kind), attribute.String("reason", key.reason)))
	}
}

// kindOf returns the kind of a mail without the id of a refund.
func kindOf(m order.Mail) string {
	for _, kind := range order.MailKinds() {
		if m.Kind.Base() == kind {
			return string(kind)
		}
	}
	return otherKind
}

// reasonOf returns the reason of an error of a mail.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, order.ErrInvalid):
		return reasonRefused
	case errors.Is(err, order.ErrNotSent):
		return reasonUnavailable
	case errors.Is(err, order.ErrOverloaded):
		return reasonNotTried
	}
	return reasonFailed
}
