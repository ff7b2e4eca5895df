package load

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Outcome is what became of an arrival.
type Outcome uint8

const (
	// Accepted is an order that is PAID.
	Accepted Outcome = iota
	// Pending is an order whose payment is not known yet.
	Pending
	// SoldOut is a definite no: too few units are left.
	SoldOut
	// Declined is an order that ended CANCELLED because of its card.
	Declined
	// Shed is a refusal under load (resource_exhausted), or by a limit of the customer: nothing was done.
	Shed
	// Unavailable is a part of the shop that is away, said by the shop.
	Unavailable
	// Failed is everything else, such as no answer at all.
	Failed
	// Browsed is a visit that bought nothing.
	Browsed
	// NotSent is an arrival that found --max-in-flight others under way. It is counted, because an order that waits in the
	// client is an order that the shop was never seen to keep waiting.
	NotSent
	outcomes
)

var outcomeNames = [outcomes]string{"accepted", "pending", "sold_out", "declined", "shed", "unavailable", "failed", "browsed", "not_sent"}

// String is the outcome's name in tables and JSON.
func (o Outcome) String() string { return outcomeNames[o] }

// answer is what one call says.
type answer struct {
	outcome Outcome
	// code is Connect's, or codeNoAnswer; empty for an order.
	code string
	// orderID names the order, also the cancelled one of a declined card.
	orderID string
	// again says that the same may succeed later.
	again bool
	// unknown says that the call may have had an effect that it does not tell.
	unknown bool
}

// codeNoAnswer is for calls that were never answered.
const codeNoAnswer = "no_answer"

// classify says what an answer to PlaceOrder means.
func classify(o *spillwayv1.Order, err error) answer {
	if err != nil {
		return classifyError(err)
	}
	a := answer{orderID: o.GetId()}
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

// classifyError does so for an error of any call.
func classifyError(err error) answer {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return noAnswer(err)
	}
	a := answer{outcome: Failed, code: ce.Code().String()}
	switch ce.Code() {
	case connect.CodeFailedPrecondition:
		if detail[*spillwayv1.SoldOut](ce) != nil {
			a.outcome = SoldOut
		} else if d := detail[*spillwayv1.PaymentDeclined](ce); d != nil {
			a.outcome, a.orderID = Declined, d.GetOrderId()
		} else if info := detail[*errdetails.ErrorInfo](ce); info.GetReason() == reasonUnitLimit {
			a.outcome, a.code = Shed, info.GetMetadata()["limit"]
		}
		return a
	case connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeAlreadyExists, connect.CodePermissionDenied,
		connect.CodeUnauthenticated, connect.CodeUnimplemented, connect.CodeOutOfRange:
		return a
	default:
		return passing(a, ce)
	}
}

// passing completes the answer of an error that may pass. One that the client made up itself is no answer.
func passing(a answer, ce *connect.Error) answer {
	if !connect.IsWireError(ce) {
		return noAnswer(ce)
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

// noAnswer is a broken connection or a call that took too long. It may have had its effect, and the same key makes sending it
// again safe; unless it was given up here.
func noAnswer(err error) answer {
	return answer{outcome: Failed, code: codeNoAnswer, again: !errors.Is(err, context.Canceled), unknown: true}
}

// detail is the error's detail of the type, or nil.
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
