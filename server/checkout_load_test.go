package server

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// specRequest is a request of a procedure.
type specRequest struct {
	connect.AnyRequest
	procedure string
}

func (r specRequest) Spec() connect.Spec { return connect.Spec{Procedure: r.procedure} }

func TestCheckoutLoad_CountsPlacingAndPaying(t *testing.T) {
	var l CheckoutLoad
	for procedure, want := range map[string]int{
		spillwayv1connect.CheckoutServicePlaceOrderProcedure: 1, spillwayv1connect.CheckoutServicePayOrderProcedure: 1,
		spillwayv1connect.CheckoutServiceQuoteProcedure: 0, spillwayv1connect.OrderServiceGetOrderProcedure: 0,
	} {
		call := l.Interceptor().WrapUnary(func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
			if got := l.InFlight(); got != want {
				t.Errorf("%s: %d in progress; want %d", procedure, got, want)
			}
			return nil, context.Canceled
		})
		_, _ = call(t.Context(), specRequest{procedure: procedure})
		if got := l.InFlight(); got != 0 {
			t.Errorf("%s: %d in progress afterwards", procedure, got)
		}
	}
}
