package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
)

const (
	// defaultRetryDelay is the retry hint of an error that may pass and has none of its own.
	defaultRetryDelay = time.Second
	// ratesRetryDelay is the retry hint without fresh exchange rates: they are loaded once a minute.
	ratesRetryDelay = time.Minute
)

// The texts that replace those of errors that may name hosts, which are only logged.
const (
	textUnavailable = "temporarily unavailable; send the same request again, with the same idempotency key if it has one"
	textEnded       = "the call ended before its work did"
	textInternal    = "internal error; the server's log has more under request id "
)

// refusal is an error as the caller gets it.
type refusal struct {
	code     connect.Code
	reason   order.Reason
	text     string
	metadata map[string]string
	fields   []fieldViolation
	// retry is when to send the same request again; 0 is never.
	retry time.Duration
	// detail is a message of our own; nil for most errors.
	detail proto.Message
}

// classes maps the error classes to codes. The first match counts: an unknown outcome is unavailable, whatever the reason why it is unknown. With the code of another
// class a caller would believe that nothing was done, such as of a charge that a busy ledger did not record.
var classes = []struct {
	err    error
	code   connect.Code
	reason order.Reason
}{
	{order.ErrUnknownOutcome, connect.CodeUnavailable, order.ReasonUnavailable},
	{order.ErrKeyReused, connect.CodeAlreadyExists, order.ReasonIdempotencyKeyReused},
	{order.ErrAlreadyExists, connect.CodeAlreadyExists, order.ReasonAlreadyExists},
	{order.ErrOverloaded, connect.CodeResourceExhausted, order.ReasonOverloaded},
	{errSlowReader, connect.CodeAborted, order.ReasonSlowReader},
	// Known to have done nothing, which unavailable leaves open: shipping.Client distinguishes the two by this code.
	{order.ErrRejected, connect.CodeAborted, order.ReasonRejected},
	{order.ErrUnavailable, connect.CodeUnavailable, order.ReasonUnavailable},
	{order.ErrInvalid, connect.CodeInvalidArgument, order.ReasonInvalidField},
	{order.ErrNotFound, connect.CodeNotFound, order.ReasonNotFound},
	{order.ErrFailedPrecondition, connect.CodeFailedPrecondition, order.ReasonFailedPrecondition},
	{errUnauthenticated, connect.CodeUnauthenticated, order.ReasonTokenInvalid},
	{errPermissionDenied, connect.CodePermissionDenied, order.ReasonRoleRequired},
	{errUnimplemented, connect.CodeUnimplemented, order.ReasonProcedureNotServed},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded, order.ReasonDeadlineExceeded},
	{context.Canceled, connect.CodeCanceled, order.ReasonCanceled},
}

// The error classes that only the server has.
var (
	errUnauthenticated  = errors.New("unauthenticated")
	errPermissionDenied = errors.New("permission denied")
	errUnimplemented    = errors.New("not served")
)

// refusalOf translates an error. It is `internal` unless the error has a class.
func refusalOf(err error) refusal {
	if f, ok := detailed(err); ok {
		return f
	}
	f := refusal{code: connect.CodeInternal, reason: order.ReasonInternal, text: textInternal}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			f.code, f.reason, f.text = c.code, c.reason, withoutClass(err, c.err)
			break
		}
	}
	switch f.code { //nolint:exhaustive // The others have the error's own text, and no retry hint.
	case connect.CodeUnavailable:
		f.text, f.retry = textUnavailable, defaultRetryDelay
	case connect.CodeResourceExhausted, connect.CodeAborted:
		f.retry = defaultRetryDelay
	case connect.CodeDeadlineExceeded, connect.CodeCanceled:
		f.text = textEnded
	}
	return f.with(err)
}

// with adds what the errors that err wraps have: reason and metadata, a retry hint, and the invalid fields.
func (f refusal) with(err error) refusal {
	var refused *order.RefusalError
	if errors.As(err, &refused) && f.code != connect.CodeInternal {
		f.reason, f.metadata = refused.Reason, refused.Metadata
		if f.code == connect.CodeUnavailable {
			f.text = refused.Error() // Without the texts of what wraps it.
		}
	}
	var retry *order.RetryError
	if errors.As(err, &retry) && f.retry > 0 {
		f.retry = retry.After
	}
	if f.code == connect.CodeInvalidArgument {
		f.fields = violationsOf(err)
	}
	return f
}

// detailed translates the error types that carry data.
func detailed(err error) (refusal, bool) {
	if sold, ok := err.(*order.SoldOutError); ok { //nolint:errorlint // It is compared first because it is the usual error; a wrapped one is found below.
		return failedPrecondition(order.ReasonSoldOut, sold, soldOut(sold)), true
	}
	var limit *order.LimitError
	var sold *order.SoldOutError
	var declined *order.DeclinedError
	var price *order.PriceChangedError
	var rates *order.RatesTooOldError
	var invalid *protovalidate.ValidationError
	switch {
	case errors.As(err, &limit):
		return limitExceeded(limit), true
	case errors.As(err, &sold):
		return failedPrecondition(order.ReasonSoldOut, sold, soldOut(sold)), true
	case errors.As(err, &declined):
		return failedPrecondition(order.ReasonPaymentDeclined, declined, paymentDeclined(declined)), true
	case errors.As(err, &price):
		return failedPrecondition(order.ReasonPriceChanged, price, priceChanged(price)), true
	case errors.As(err, &rates):
		return ratesTooOld(rates), true
	case errors.As(err, &invalid):
		return invalidFields(violationsOf(err)), true
	}
	return refusal{}, false
}

// edge is the one place where errors become Connect's. An error without a class is sent as `internal` without its text, which is logged
// under the request's id.
func edge(log *slog.Logger) connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				resp, err := next(ctx, req)
				if err == nil {
					return resp, nil
				}
				return nil, translate(ctx, log, req.Spec().Procedure, err)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				err := next(ctx, conn)
				if err == nil {
					return nil
				}
				return translate(ctx, log, conn.Spec().Procedure, err)
			}
		},
	}
}

// translate logs what is not sent, and returns the error to send.
func translate(ctx context.Context, log *slog.Logger, procedure string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && !connect.IsWireError(err) {
		// Connect made it in this process, such as for a message that it cannot read. One that another service sent is an error like any
		// other: its text and its headers are between the two services.
		return complete(ctx, ce)
	}
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		err = ended // Also where the end of the call made a dependency look slow.
	}
	f := refusalOf(err)
	var cause error
	switch f.code { //nolint:exhaustive // The text of the others is sent.
	case connect.CodeInternal:
		f.text += requestid.From(ctx)
		log.ErrorContext(ctx, "rpc failed", "procedure", procedure, "error", err)
	case connect.CodeUnavailable, connect.CodeCanceled, connect.CodeDeadlineExceeded:
		// Debug, because a line a request would flood the log while a dependency is unavailable; requestLog logs the cause of some.
		cause = err
		log.DebugContext(ctx, "rpc refused", "procedure", procedure, "reason", f.reason, "error", err)
	}
	return &refusalError{refusal: f, requestID: requestid.From(ctx), cause: cause}
}
