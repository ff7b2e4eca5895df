package load

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Outcome is the result of an arrival.
type Outcome uint8

const (
	// Accepted is an order that is PAID.
	Accepted Outcome = iota
	// Pending is an order without a known outcome of its payment.
	Pending
	// SoldOut means that too few units are left. It is final.
	SoldOut
	// Declined is an order that is CANCELLED because its card was declined.
	Declined
	// Shed is a rejection under load (resource_exhausted), or by a limit of the customer: nothing was done.
	Shed
	// Unavailable is the shop's own error that a dependency is unavailable.
	Unavailable
	// Failed is any other result, such as no response.
	Failed
	// Browsed is a visit that bought nothing.
	Browsed
	// NotSent is an arrival at a time when --max-in-flight others were in progress. It is counted and dropped: an order
	// that waited in the client would hide the shop's latency.
	NotSent
	outcomes
)

var outcomeNames = [outcomes]string{"accepted", "pending", "sold_out", "declined", "shed", "unavailable", "failed", "browsed", "not_sent"}

// String returns the outcome's name in tables and JSON.
func (o Outcome) String() string { return outcomeNames[o] }

// response is the result of one call.
type response struct {
	outcome Outcome
	// code is the Connect code, or codeNoResponse; empty for an order.
	code string
	// orderID is the id of the order, also of a cancelled one with a declined card.
	orderID string
	// again means that the same call may succeed later.
	again bool
	// unknown means that the call may have had an effect that is not in the response.
	unknown bool
}

// codeNoResponse is the code of calls without a response.
const codeNoResponse = "no_response"

// classify returns the outcome of a response to PlaceOrder.
func classify(o *spillwayv1.Order, err error) response {
	if err != nil {
		return classifyError(err)
	}
	a := response{orderID: o.GetId()}
	switch o.GetState() {
	case spillwayv1.OrderState_ORDER_STATE_PAID, spillwayv1.OrderState_ORDER_STATE_SHIPPED, spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED:
		a.outcome = Accepted
	case spillwayv1.OrderState_ORDER_STATE_PENDING:
		a.outcome = Pending
	case spillwayv1.OrderState_ORDER_STATE_CANCELLED:
		a.outcome = Declined
	default:
		a.outcome, a.code, a.unknown = Failed, "unknown_state", true
	}
	return a
}

// reasonUnitLimit is the reason of an order with more units than its customer may have.
const reasonUnitLimit = string(order.ReasonUnitLimitExceeded)

// classifyError returns the outcome of an error of any call.
func classifyError(err error) response {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return noResponse(err)
	}
	a := response{outcome: Failed, code: ce.Code().String()}
	switch ce.Code() {
	case connect.CodeFailedPrecondition:
		if detail[*spillwayv1.SoldOut](ce) != nil {
			a.outcome = SoldOut
		} else if d := detail[*spillwayv1.PaymentDeclined](ce); d != nil {
			a.outcome, a.orderID = Declined, d.GetOrderId()
		} else if info := detail[*errdetails.ErrorInfo](ce); info.GetReason() == reasonUnitLimit {
			a.outcome, a.code = Shed, info.GetMetadata()["limit"]
		} else if info.GetReason() == string(order.ReasonSoldOut) { // Online Boutique's interface has no details of our own.
			a.outcome = SoldOut
		}
		return a
	case connect.CodeInvalidArgument:
		if detail[*errdetails.ErrorInfo](ce).GetReason() == string(order.ReasonPaymentDeclined) { // The same.
			a.outcome = Declined
		}
		return a
	case connect.CodeNotFound, connect.CodeAlreadyExists, connect.CodePermissionDenied,
		connect.CodeUnauthenticated, connect.CodeUnimplemented, connect.CodeOutOfRange:
		return a
	default:
		return transient(a, ce)
	}
}

// transient completes the outcome of an error that may be transient. An error that the client made up itself counts as
// no response.
func transient(a response, ce *connect.Error) response {
	if !connect.IsWireError(ce) {
		return noResponse(ce)
	}
	switch ce.Code() {
	case connect.CodeResourceExhausted:
		a.outcome, a.again = Shed, true
	case connect.CodeUnavailable:
		a.outcome, a.again, a.unknown = Unavailable, true, true
	default:
		a.again, a.unknown = ce.Code() == connect.CodeDeadlineExceeded || ce.Code() == connect.CodeAborted, true
	}
	return a
}

// noResponse is a broken connection or a timeout. The call may have had its effect, and the same idempotency key makes
// a retry safe, unless the load was cancelled.
func noResponse(err error) response {
	return response{outcome: Failed, code: codeNoResponse, again: !errors.Is(err, context.Canceled), unknown: true}
}

// detail returns the error's detail of the type, or nil.
func detail[T any](ce *connect.Error) (found T) {
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if t, ok := v.(T); ok {
				return t
			}
		}
	}
	return found
}
