package payment

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// fakeService returns what the test sets and records the last request.
type fakeService struct {
	spillwayv1connect.UnimplementedPaymentServiceHandler
	err     error
	charge  *spillwayv1.ChargeRecord
	request proto.Message
}

func (s *fakeService) Charge(_ context.Context, req *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	s.request = req
	return &spillwayv1.ChargeResponse{Charge: s.charge}, s.err
}

func (s *fakeService) Refund(_ context.Context, req *spillwayv1.RefundRequest) (*spillwayv1.RefundResponse, error) {
	s.request = req
	return &spillwayv1.RefundResponse{}, s.err
}

func (s *fakeService) Void(_ context.Context, req *spillwayv1.VoidRequest) (*spillwayv1.VoidResponse, error) {
	s.request = req
	return &spillwayv1.VoidResponse{}, s.err
}

// twelve is EUR 12.00.
var twelve = order.Money{Currency: "EUR", Amount: 1200}

func newID() order.ID { return order.NewID(0, time.Now()) }

// goodCard returns an unexpired card with the number.
func goodCard(number string) Card { return NewCard(number, "123", 2099, 1) }

// newClients returns two clients of the service: one in this process, one behind a URL.
func newClients(t *testing.T, s *fakeService) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewPaymentServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewPaymentServiceClient(server.Client(), server.URL)
	return map[string]Client{
		"in process": {Service: s, Policy: p[breaker.Payment], Charging: newCharging(t, p[breaker.Charges], s)},
		"by URL":     {Service: byURL, Policy: p[breaker.Payment], Charging: newCharging(t, p[breaker.Charges], byURL)},
	}
}

func newCharging(t *testing.T, p *breaker.Policy, c spillwayv1connect.PaymentServiceClient) *Charging {
	t.Helper()
	charging := NewCharging(p, c)
	t.Cleanup(func() { _ = charging.Close() })
	return charging
}

func TestClient_Charge(t *testing.T) {
	for state, want := range map[spillwayv1.ChargeState]order.Charge{
		spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED: {ChargeID: "ch1", State: order.ChargeSucceeded},
		spillwayv1.ChargeState_CHARGE_STATE_DECLINED:  {ChargeID: "ch1", State: order.ChargeDeclined, DeclineCode: "lost_card"},
	} {
		s := &fakeService{charge: &spillwayv1.ChargeRecord{ChargeId: "ch1", State: state, DeclineCode: want.DeclineCode}}
		for how, c := range newClients(t, s) {
			id := newID()
			want.OrderID = id
			got, err := c.Charge(t.Context(), id, twelve, NewCard("4242424242424242", "123", 2030, 7))
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", how, got, err, want)
			}
			want := &spillwayv1.ChargeRequest{
				OrderId: string(id), Amount: &spillwayv1.Money{CurrencyCode: "EUR", Units: 12},
				Card: &spillwayv1.Card{Number: "4242424242424242", Cvv: "123", ExpiryYear: 2030, ExpiryMonth: 7},
			}
			if !proto.Equal(s.request, want) {
				t.Errorf("%s: the service got another request", how)
			}
		}
	}
}

func TestClient_RefundAndVoid(t *testing.T) {
	s := &fakeService{err: connect.NewError(connect.CodeFailedPrecondition, errors.New("not now"))}
	for how, c := range newClients(t, s) {
		if err := c.Refund(t.Context(), "O1", "why"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("%s: %v; want ErrFailedPrecondition", how, err)
		}
		if q, ok := s.request.(*spillwayv1.RefundRequest); !ok || q.GetOrderId() != "O1" || q.GetReason() != "why" {
			t.Errorf("%s: the service got %v", how, s.request)
		}
		if err := c.Void(t.Context(), "O2"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("%s: %v; want ErrFailedPrecondition", how, err)
		}
		if q, ok := s.request.(*spillwayv1.VoidRequest); !ok || q.GetOrderId() != "O2" {
			t.Errorf("%s: the service got %v", how, s.request)
		}
	}
}

func TestClient_ErrorsOfCodes(t *testing.T) {
	for code, c := range map[connect.Code]struct {
		want    error
		unknown bool // whether the card may have been charged
		failure bool
	}{
		connect.CodeInvalidArgument:    {order.ErrInvalid, false, false},
		connect.CodeNotFound:           {order.ErrNotFound, false, false},
		connect.CodeAlreadyExists:      {order.ErrAlreadyExists, false, false},
		connect.CodeFailedPrecondition: {order.ErrFailedPrecondition, false, false},
		connect.CodeResourceExhausted:  {order.ErrOverloaded, false, false},
		connect.CodeCanceled:           {order.ErrUnavailable, true, true}, // by the service: the caller is there
		connect.CodeUnavailable:        {order.ErrUnavailable, true, true},
		connect.CodeDeadlineExceeded:   {order.ErrUnavailable, true, true},
		connect.CodeInternal:           {order.ErrUnknownOutcome, true, true},
		connect.CodeUnknown:            {order.ErrUnknownOutcome, true, true},
		connect.CodeAborted:            {order.ErrUnknownOutcome, true, true},
	} {
		s := &fakeService{err: connect.NewError(code, errors.New("message"))}
		for how, call := range newClients(t, s) {
			_, err := call.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242"))
			if !errors.Is(err, c.want) || errors.Is(err, order.ErrUnknownOutcome) != c.unknown {
				t.Errorf("%s: %s became %v", how, code, err)
			}
			if got := breaker.IsFailure(wire.FromConnect(s.err)); got != c.failure {
				t.Errorf("%s counts as a failure: %v", code, got)
			}
		}
	}
}

func TestClient_FrozenService(t *testing.T) {
	cfg := testConfig
	cfg.Timeout = time.Second // It includes connecting; without a connection nothing is sent.
	c := Client{Service: spillwayv1connect.NewPaymentServiceClient(http.DefaultClient, "http://"+startFrozenServer(t))}
	c.Charging = newCharging(t, breaker.NewPolicy(breaker.Charges, cfg), c.Service)
	_, err := c.Charge(t.Context(), newID(), twelve, NewCard("4242424242424242", "917", 2030, 7))
	if !errors.Is(err, order.ErrUnknownOutcome) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("got %v; want an unknown outcome", err)
	}
	if strings.Contains(err.Error(), "4242") || strings.Contains(err.Error(), "917") {
		t.Errorf("the error contains the card: %v", err)
	}
}

func TestClient_OpenBreakerSendsNothing(t *testing.T) {
	s := &fakeService{}
	p := breaker.NewPolicy(breaker.Charges, testConfig)
	openBreaker(t, p)
	_, err := Client{Service: s, Charging: newCharging(t, p, s)}.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242"))
	if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrUnknownOutcome) || s.request != nil {
		t.Errorf("got %v, request %v; want a known outcome without a request", err, s.request)
	}
}
