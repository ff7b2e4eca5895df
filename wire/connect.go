package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/order"
)

// ErrorDomain is the domain of every google.rpc.ErrorInfo of the API: reasons are unique within it.
const ErrorDomain = "spillway"

const (
	// MetaRequestID is the key of the request's id in the metadata of an ErrorInfo.
	MetaRequestID = "requestId"
	// MetaOutcome is the key of what a failed call between processes did: OutcomeNotSent, or absent if that is not known.
	MetaOutcome = "outcome"
	// OutcomeNotSent means that the call had no effect: it did not reach the dependency that is unavailable.
	OutcomeNotSent = "not_sent"
	// MetaRateDate is the key of the date of the rates, and MetaMaxAge of the age that they may have, of an order.RatesTooOldError.
	MetaRateDate = "rateDate"
	// MetaMaxAge is explained at MetaRateDate.
	MetaMaxAge = "maxAge"
)

// remoteError is the text of an error of a service behind a URL, for logs. It is no *connect.Error, so that a server does not take the error of the
// service that it called for one of its own.
type remoteError struct{ text string }

// Error returns the text.
func (e *remoteError) Error() string { return e.text }

// FromConnect turns the error of a service behind a URL back into the domain's, with its reason, field, metadata and retry delay. What is no Connect error came
// from a service in this process and is the domain's already.
//
// `unavailable` becomes order.ErrUnavailable with order.ErrUnknownOutcome, unless it is known that the call had no effect, from the service or from the client's
// transport, which marks such an error with order.ErrNotSent: then with order.ErrNotSent. A service that
// refuses the token, or does not serve the procedure, is order.ErrUnavailable with order.ErrNotSent: the caller's configuration is wrong, not its request.
func FromConnect(err error) error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err
	}
	d := detailsOf(ce)
	text := &remoteError{ce.Error()}
	switch ce.Code() { //nolint:exhaustive // The others are failures as they are.
	case connect.CodeInvalidArgument:
		return d.invalid(ce, text)
	case connect.CodeNotFound:
		return d.refusal(order.ErrNotFound, ce, text)
	case connect.CodeAlreadyExists:
		return d.refusal(order.ErrAlreadyExists, ce, text)
	case connect.CodeFailedPrecondition:
		return d.refusal(order.ErrFailedPrecondition, ce, text)
	case connect.CodeCanceled:
		if errors.Is(ce, context.Canceled) { // By this process. What a service breaks off has an unknown outcome, and its caller is still there.
			return fmt.Errorf("%w: %w", context.Canceled, text)
		}
		return d.retryLater(d.unavailable(ce, text))
	case connect.CodeResourceExhausted:
		return d.retryLater(d.refusal(order.ErrOverloaded, ce, text))
	case connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented:
		return fmt.Errorf("%w, %w: %w", order.ErrUnavailable, order.ErrNotSent, text)
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded:
		return d.retryLater(d.unavailable(ce, text))
	}
	return text
}

// details are what the google.rpc messages of an error have.
type details struct {
	info  *errdetails.ErrorInfo // nil if it is not of this API
	field *errdetails.BadRequest_FieldViolation
	retry time.Duration
}

func detailsOf(ce *connect.Error) (out details) {
	for _, d := range ce.Details() {
		m, err := d.Value()
		if err != nil {
			continue
		}
		switch m := m.(type) {
		case *errdetails.ErrorInfo:
			if m.GetDomain() == ErrorDomain {
				out.info = m
			}
		case *errdetails.BadRequest:
			if fields := m.GetFieldViolations(); len(fields) > 0 {
				out.field = fields[0]
			}
		case *errdetails.RetryInfo:
			out.retry = m.GetRetryDelay().AsDuration()
		}
	}
	return out
}

// refusal returns an error of the class, with the reason and the text of the service if it is one of this API.
func (d details) refusal(class error, ce *connect.Error, text error) error {
	if d.info == nil || d.info.GetReason() == "" {
		return fmt.Errorf("%w: %w", class, text)
	}
	return d.withMetadata(order.Refuse(class, order.Reason(d.info.GetReason()), "%s", ce.Message()))
}

func (d details) withMetadata(refused *order.RefusalError) *order.RefusalError {
	for key, value := range d.info.GetMetadata() {
		if key != MetaRequestID && key != MetaOutcome {
			refused = refused.With(key, value)
		}
	}
	return refused
}

// invalid returns an order.ErrInvalid, with its field if the service named one.
func (d details) invalid(ce *connect.Error, text error) error {
	if d.field == nil || d.info == nil {
		return d.refusal(order.ErrInvalid, ce, text)
	}
	reason := order.Reason(d.field.GetReason())
	return &order.FieldError{Field: d.field.GetField(), Err: d.withMetadata(order.Refuse(order.ErrInvalid, reason, "%s", d.field.GetDescription()))}
}

// unavailable returns an order.ErrUnavailable, with what is known of the outcome.
func (d details) unavailable(ce *connect.Error, text error) error {
	metadata := d.info.GetMetadata()
	if order.Reason(d.info.GetReason()) == order.ReasonRatesTooOld {
		age, _ := time.ParseDuration(metadata[MetaMaxAge]) // It is for the text.
		return &order.RatesTooOldError{Date: metadata[MetaRateDate], MaxAge: age}
	}
	if metadata[MetaOutcome] == OutcomeNotSent || errors.Is(ce, order.ErrNotSent) {
		return fmt.Errorf("%w, %w: %w", order.ErrUnavailable, order.ErrNotSent, text)
	}
	return fmt.Errorf("%w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, text)
}

// maxRetryDelay bounds the wait that a service may ask for.
const maxRetryDelay = time.Minute

// retryLater keeps the retry delay of the service, if there is one.
func (d details) retryLater(err error) error {
	if d.retry <= 0 {
		return err
	}
	return &order.RetryError{After: min(d.retry, maxRetryDelay), Err: err}
}
