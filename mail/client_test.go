package mail

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// fakeService returns what the test sets and records the last request.
type fakeService struct {
	err   error
	asked proto.Message
}

func (s *fakeService) SendOrderConfirmation(_ context.Context, req *spillwayv1.SendOrderConfirmationRequest) (*spillwayv1.SendOrderConfirmationResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderConfirmationResponse{}, s.err
}

func (s *fakeService) SendOrderShipped(_ context.Context, req *spillwayv1.SendOrderShippedRequest) (*spillwayv1.SendOrderShippedResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderShippedResponse{}, s.err
}

func (s *fakeService) SendOrderCancelled(_ context.Context, req *spillwayv1.SendOrderCancelledRequest) (*spillwayv1.SendOrderCancelledResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderCancelledResponse{}, s.err
}

func (s *fakeService) SendOrderRefunded(_ context.Context, req *spillwayv1.SendOrderRefundedRequest) (*spillwayv1.SendOrderRefundedResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderRefundedResponse{}, s.err
}

// newCallers are clients of the service: one in this process, one behind a URL.
func newCallers(t *testing.T, s *fakeService) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewEmailServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewEmailServiceClient(server.Client(), server.URL)
	return map[string]Client{"in process": {s, p[breaker.Mail]}, "by URL": {byURL, p[breaker.Mail]}}
}

func TestClient_SendConfirmation(t *testing.T) {
	o := mugs(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	s := &fakeService{}
	for how, c := range newCallers(t, s) {
		if err := c.SendConfirmation(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		q, ok := s.asked.(*spillwayv1.SendOrderConfirmationRequest)
		if !ok {
			t.Fatalf("%s: the mail service was asked %v", how, s.asked)
		}
		if got, err := wire.FromOrder(q.GetOrder()); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%s: mailed %+v, %v; want %+v", how, got, err, o)
		}
	}
}

func TestClient_OtherMails(t *testing.T) {
	o, refund := mugs(t), order.Money{Currency: "EUR", Amount: 3645}
	s := &fakeService{}
	for how, c := range newCallers(t, s) {
		if err := c.SendRefunded(t.Context(), o, "R1", refund); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.SendOrderRefundedRequest); !ok || q.GetRefundId() != "R1" || !proto.Equal(q.GetRefund(), wire.Money(refund)) {
			t.Errorf("%s: asked %v", how, s.asked)
		}
		if err := c.SendShipped(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.SendOrderShippedRequest); !ok || q.GetOrder().GetId() != string(o.ID) {
			t.Errorf("%s: asked %v", how, s.asked)
		}
		for _, money := range []order.Money{refund, {}} {
			if err := c.SendCancelled(t.Context(), o, money); err != nil {
				t.Errorf("%s: %v", how, err)
			}
			q, ok := s.asked.(*spillwayv1.SendOrderCancelledRequest)
			if !ok || (q.GetRefund() != nil) != (money.Amount != 0) || q.GetRefund() != nil && !proto.Equal(q.GetRefund(), wire.Money(money)) {
				t.Errorf("%s: asked %v", how, s.asked)
			}
		}
	}
}
