package server

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// specRequest is a request of a procedure.
type specRequest struct {
	connect.AnyRequest
	procedure string
}

func (r specRequest) Spec() connect.Spec { return connect.Spec{Procedure: r.procedure} }

func TestCheckoutLoad_CountsPlacingAndPaying(t *testing.T) {
	var l CheckoutLoad
	admission := NewAdmission(AdmissionConfig{Load: &l})
	for procedure, want := range map[string]int{
		spillwayv1connect.CheckoutServicePlaceOrderProcedure: 1, spillwayv1connect.CheckoutServicePayOrderProcedure: 1,
		spillwayv1connect.CheckoutServiceQuoteProcedure: 0, spillwayv1connect.OrderServiceGetOrderProcedure: 0,
		spillwayv1connect.OrderServiceCancelOrderProcedure: 0, // It waits for the drain.
	} {
		call := admission.intercept().WrapUnary(func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) {
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

// TestCheckoutLoad_WaitingForTheProvider: a request that waits for a slow payment provider needs no CPU, and does not count. A call that
// outlives its request changes nothing any more.
func TestCheckoutLoad_WaitingForTheProvider(t *testing.T) {
	for name, outlives := range map[string]bool{"the request waits": false, "the call outlives the request": true} {
		var l CheckoutLoad
		admission := NewAdmission(AdmissionConfig{Load: &l})
		called, respond, responded := make(chan struct{}), make(chan struct{}), make(chan struct{})
		provider := OutsideLimits(slowProvider{called: called, respond: respond})
		calling := admission.intercept().WrapUnary(func(ctx context.Context, _ connect.AnyRequest) (connect.AnyResponse, error) {
			want := func(when string, want int) {
				if got := l.InFlight(); got != want {
					t.Errorf("%s: %s %d requests count; want %d", name, when, got, want)
				}
			}
			want("before the charge", 1)
			go func() {
				defer close(responded)
				_, _ = provider.Charge(context.WithoutCancel(ctx), "", order.Money{}, payment.Card{})
			}()
			<-called
			want("during the charge", 0)
			if !outlives {
				close(respond)
				<-responded
				want("after the charge", 1)
			}
			return nil, context.Canceled
		})
		_, _ = calling(t.Context(), specRequest{procedure: spillwayv1connect.CheckoutServicePlaceOrderProcedure})
		if outlives {
			close(respond)
			<-responded
		}
		if got := l.InFlight(); got != 0 {
			t.Errorf("%s: %d requests count at the end", name, got)
		}
	}
}

// TestOutsideLimits_WithoutARequest: workers call the provider as well.
func TestOutsideLimits_WithoutARequest(t *testing.T) {
	respond := make(chan struct{})
	close(respond)
	p := OutsideLimits(slowProvider{called: make(chan struct{}, 1), respond: respond})
	if out, err := p.Charge(t.Context(), "", order.Money{}, payment.Card{}); err != nil || !out.Succeeded {
		t.Errorf("%+v, %v", out, err)
	}
}

// slowProvider responds to a charge when it may.
type slowProvider struct {
	payment.Provider

	called  chan<- struct{}
	respond <-chan struct{}
}

func (p slowProvider) Charge(context.Context, order.ID, order.Money, payment.Card) (payment.Outcome, error) {
	p.called <- struct{}{}
	<-p.respond
	return payment.Outcome{Succeeded: true}, nil
}
