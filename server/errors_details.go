package server

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
	"github.com/spillway/spillway/wire"
)

const errorDomain = wire.ErrorDomain

// The keys of an ErrorInfo's metadata that several errors have.
const (
	metaRequestID = wire.MetaRequestID
	metaOrderID   = "orderId"
	metaSKU       = "sku"
	metaLimit     = "limit"
	metaProcedure = "procedure"
)

// refusalError is a refusal and the id of its request. For errors.As it is also a *connect.Error, which is built when it is first looked
// for: building it marshals the details, and errorBodies needs none of that for most errors.
type refusalError struct {
	refusal
	requestID string
	// cause is the error for the log, if its text is not sent; otherwise nil.
	cause error
	built *connect.Error
}

// Error is the text for the caller.
func (e *refusalError) Error() string { return e.text }

// As makes a *connect.Error of it.
func (e *refusalError) As(target any) bool {
	ce, ok := target.(**connect.Error)
	if !ok {
		return false
	}
	if e.built == nil {
		e.built = e.build(e.requestID)
	}
	*ce = e.built
	return true
}

// connectError builds the error of a request.
func (f refusal) connectError(ctx context.Context) *connect.Error {
	return f.build(requestid.From(ctx))
}

// build builds the error with its details: ErrorInfo always, BadRequest and RetryInfo where they apply, and the own one.
func (f refusal) build(requestID string) *connect.Error {
	ce := connect.NewError(f.code, textError(f.text))
	info := &errdetails.ErrorInfo{Reason: string(f.reason), Domain: errorDomain, Metadata: make(map[string]string, len(f.metadata)+1)}
	maps.Copy(info.GetMetadata(), f.metadata)
	if requestID != "" {
		info.Metadata[metaRequestID] = requestID
	}
	addDetail(ce, info)
	if len(f.fields) > 0 {
		addDetail(ce, badRequest(f.fields))
	}
	if f.retry > 0 {
		addDetail(ce, retryInfo(f.retry))
	}
	if f.detail != nil {
		addDetail(ce, f.detail)
	}
	f.setHeaders(ce.Meta())
	return ce
}

// setHeaders sets the headers of the response.
func (f refusal) setHeaders(h http.Header) {
	if f.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.retry+time.Second-1)/time.Second)))
	}
	if f.code == connect.CodeUnauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
}

func retryInfo(delay time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
}

// textError is an error's text for the caller.
type textError string

// Error is the text.
func (e textError) Error() string { return string(e) }

// addDetail adds a detail. A message that cannot be marshalled is left out.
func addDetail(ce *connect.Error, detail proto.Message) {
	if d, err := connect.NewErrorDetail(detail); err == nil {
		ce.AddDetail(d)
	}
}

// complete gives an error of Connect's own the reason of its code.
func complete(ctx context.Context, ce *connect.Error) *connect.Error {
	if len(ce.Details()) > 0 {
		return ce
	}
	f := refusal{code: ce.Code(), reason: order.ReasonInternal, text: ce.Message()}
	for _, c := range classes {
		if c.code == ce.Code() {
			f.reason = c.reason
		}
	}
	if f.code == connect.CodeInvalidArgument {
		f.reason = order.ReasonMalformedBody
	}
	return f.connectError(ctx)
}

// failedPrecondition is a refusal with a detail of our own.
func failedPrecondition(reason order.Reason, err error, detail proto.Message) refusal {
	return refusal{code: connect.CodeFailedPrecondition, reason: reason, text: err.Error(), detail: detail}
}

// limitExceeded has the limit in its metadata, and a retry hint if waiting helps.
func limitExceeded(e *order.LimitError) refusal {
	f := refusal{
		code: connect.CodeFailedPrecondition, reason: order.ReasonUnitLimitExceeded, text: e.Error(), retry: e.After,
		metadata: map[string]string{metaLimit: string(e.Limit), "maximum": strconv.FormatInt(e.Maximum, 10)},
	}
	if e.SKU != "" {
		f.metadata[metaSKU] = string(e.SKU)
	}
	if e.Unwrap() == order.ErrOverloaded { //nolint:errorlint // It is that error itself.
		f.code, f.reason = connect.CodeResourceExhausted, order.ReasonLimitExceeded
	}
	return f
}

// ratesTooOld has the day of the rates and their maximum age in its metadata.
func ratesTooOld(e *order.RatesTooOldError) refusal {
	return refusal{
		code: connect.CodeUnavailable, reason: order.ReasonRatesTooOld, text: e.Error(), retry: ratesRetryDelay,
		metadata: map[string]string{wire.MetaRateDate: e.Date, wire.MetaMaxAge: e.MaxAge.String()},
	}
}

func soldOut(e *order.SoldOutError) *spillwayv1.SoldOut {
	out := &spillwayv1.SoldOut{}
	for _, s := range e.Shortages {
		out.Items = append(out.Items, &spillwayv1.SoldOutItem{Sku: string(s.SKU), Requested: s.Requested, Available: s.Available})
	}
	return out
}

func paymentDeclined(e *order.DeclinedError) *spillwayv1.PaymentDeclined {
	out := &spillwayv1.PaymentDeclined{OrderId: string(e.OrderID), DeclineCode: e.Code}
	if !e.PayUntil.IsZero() {
		out.ExpireTime = timestamppb.New(e.PayUntil)
	}
	return out
}

func priceChanged(e *order.PriceChangedError) *spillwayv1.PriceChanged {
	return &spillwayv1.PriceChanged{Expected: wire.Money(e.Expected), Actual: wire.Money(e.Actual)}
}
