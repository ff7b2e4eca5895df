package load

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

func TestClassify_Errors(t *testing.T) {
	t.Parallel()
	ordered := func(s spillwayv1.OrderState) *spillwayv1.Order { return &spillwayv1.Order{Id: "X", State: s} }
	declined := &spillwayv1.PaymentDeclined{OrderId: "X", DeclineCode: "lost_card"}
	local := func(code connect.Code) error { return connect.NewError(code, errors.New("refused")) }
	for _, c := range []struct {
		name  string
		order *spillwayv1.Order
		err   error
		want  response
	}{
		{"paid", ordered(spillwayv1.OrderState_ORDER_STATE_PAID), nil, response{outcome: Accepted, orderID: "X"}},
		{"shipped by the time of a retry", ordered(spillwayv1.OrderState_ORDER_STATE_SHIPPED), nil, response{outcome: Accepted, orderID: "X"}},
		{"the carrier refused it", ordered(spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED), nil, response{outcome: Accepted, orderID: "X"}},
		{"payment not known", ordered(spillwayv1.OrderState_ORDER_STATE_PENDING), nil, response{outcome: Pending, orderID: "X"}},
		{"cancelled by the time of a retry", ordered(spillwayv1.OrderState_ORDER_STATE_CANCELLED), nil, response{outcome: Declined, orderID: "X"}},
		{"a state to come", ordered(99), nil, response{outcome: Failed, code: "unknown_state", orderID: "X", unknown: true}},
		{"sold out", nil, wire(connect.CodeFailedPrecondition, &spillwayv1.SoldOut{}), response{outcome: SoldOut, code: "failed_precondition"}},
		{"declined", nil, wire(connect.CodeFailedPrecondition, declined), response{outcome: Declined, code: "failed_precondition", orderID: "X"}},
		{
			"a limit of the customer", nil, wire(connect.CodeFailedPrecondition, &errdetails.ErrorInfo{
				Reason: "UNIT_LIMIT_EXCEEDED", Metadata: map[string]string{"limit": "units_per_customer"},
			}),
			response{outcome: Shed, code: "units_per_customer"},
		},
		{
			"sold out at Online Boutique", nil, wire(connect.CodeFailedPrecondition, &errdetails.ErrorInfo{Reason: "SOLD_OUT"}),
			response{outcome: SoldOut, code: "failed_precondition"},
		},
		{
			"declined at Online Boutique", nil, wire(connect.CodeInvalidArgument, &errdetails.ErrorInfo{Reason: "PAYMENT_DECLINED"}),
			response{outcome: Declined, code: "invalid_argument"},
		},
		{"another precondition", nil, wire(connect.CodeFailedPrecondition), response{outcome: Failed, code: "failed_precondition"}},
		{"shed", nil, wire(connect.CodeResourceExhausted), response{outcome: Shed, code: "resource_exhausted", again: true}},
		{"a response too large for this client", nil, local(connect.CodeResourceExhausted), response{outcome: Failed, code: codeNoResponse, again: true, unknown: true}},
		{"a dependency is unavailable", nil, wire(connect.CodeUnavailable), response{outcome: Unavailable, code: "unavailable", again: true, unknown: true}},
		{"the shop is unreachable", nil, local(connect.CodeUnavailable), response{outcome: Failed, code: codeNoResponse, again: true, unknown: true}},
		{"an invalid request", nil, wire(connect.CodeInvalidArgument), response{outcome: Failed, code: "invalid_argument"}},
		{"no token", nil, wire(connect.CodeUnauthenticated), response{outcome: Failed, code: "unauthenticated"}},
		{"an internal error", nil, wire(connect.CodeInternal), response{outcome: Failed, code: "internal", unknown: true}},
		{"too slow for the shop", nil, wire(connect.CodeDeadlineExceeded), response{outcome: Failed, code: "deadline_exceeded", again: true, unknown: true}},
		{"too slow for us", nil, fmt.Errorf("x: %w", context.DeadlineExceeded), response{outcome: Failed, code: codeNoResponse, again: true, unknown: true}},
		{"given up", nil, context.Canceled, response{outcome: Failed, code: codeNoResponse, unknown: true}},
	} {
		if got := classify(c.order, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
