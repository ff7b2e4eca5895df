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

func TestClassify(t *testing.T) {
	ordered := func(s spillwayv1.OrderState) *spillwayv1.Order { return &spillwayv1.Order{Id: "X", State: s} }
	declined := &spillwayv1.PaymentDeclined{OrderId: "X", DeclineCode: "lost_card"}
	local := func(code connect.Code) error { return connect.NewError(code, errors.New("refused")) }
	for _, c := range []struct {
		name  string
		order *spillwayv1.Order
		err   error
		want  answer
	}{
		{"paid", ordered(spillwayv1.OrderState_ORDER_STATE_PAID), nil, answer{outcome: Accepted, orderID: "X"}},
		{"shipped by the time of a retry", ordered(spillwayv1.OrderState_ORDER_STATE_SHIPPED), nil, answer{outcome: Accepted, orderID: "X"}},
		{"the carrier refused it", ordered(spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED), nil, answer{outcome: Accepted, orderID: "X"}},
		{"payment not known", ordered(spillwayv1.OrderState_ORDER_STATE_PENDING), nil, answer{outcome: Pending, orderID: "X"}},
		{"cancelled by the time of a retry", ordered(spillwayv1.OrderState_ORDER_STATE_CANCELLED), nil, answer{outcome: Declined, orderID: "X"}},
		{"a state to come", ordered(99), nil, answer{outcome: Failed, code: "unknown_state", orderID: "X", unknown: true}},
		{"sold out", nil, wire(connect.CodeFailedPrecondition, &spillwayv1.SoldOut{}), answer{outcome: SoldOut, code: "failed_precondition"}},
		{"declined", nil, wire(connect.CodeFailedPrecondition, declined), answer{outcome: Declined, code: "failed_precondition", orderID: "X"}},
		{
			"a limit of the customer", nil, wire(connect.CodeFailedPrecondition, &errdetails.ErrorInfo{
				Reason: "UNIT_LIMIT_EXCEEDED", Metadata: map[string]string{"limit": "units_per_customer"},
			}),
			answer{outcome: Shed, code: "units_per_customer"},
		},
		{"another precondition", nil, wire(connect.CodeFailedPrecondition), answer{outcome: Failed, code: "failed_precondition"}},
		{"shed", nil, wire(connect.CodeResourceExhausted), answer{outcome: Shed, code: "resource_exhausted", again: true}},
		{"an answer too large for this client", nil, local(connect.CodeResourceExhausted), answer{outcome: Failed, code: codeNoAnswer, again: true, unknown: true}},
		{"a part is away", nil, wire(connect.CodeUnavailable), answer{outcome: Unavailable, code: "unavailable", again: true, unknown: true}},
		{"the shop is away", nil, local(connect.CodeUnavailable), answer{outcome: Failed, code: codeNoAnswer, again: true, unknown: true}},
		{"a mistake of ours", nil, wire(connect.CodeInvalidArgument), answer{outcome: Failed, code: "invalid_argument"}},
		{"no token", nil, wire(connect.CodeUnauthenticated), answer{outcome: Failed, code: "unauthenticated"}},
		{"a mistake of the shop", nil, wire(connect.CodeInternal), answer{outcome: Failed, code: "internal", unknown: true}},
		{"too slow for the shop", nil, wire(connect.CodeDeadlineExceeded), answer{outcome: Failed, code: "deadline_exceeded", again: true, unknown: true}},
		{"too slow for us", nil, fmt.Errorf("x: %w", context.DeadlineExceeded), answer{outcome: Failed, code: codeNoAnswer, again: true, unknown: true}},
		{"given up", nil, context.Canceled, answer{outcome: Failed, code: codeNoAnswer, unknown: true}},
	} {
		if got := classify(c.order, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
