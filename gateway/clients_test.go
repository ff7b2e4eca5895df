package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// services answers what the test sets and notes what it was asked.
type services struct {
	spillwayv1connect.UnimplementedPaymentServiceHandler
	err    error
	charge *spillwayv1.ChargeRecord
	cost   order.Money
	asked  proto.Message
}

func (s *services) Charge(_ context.Context, req *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	s.asked = req
	return &spillwayv1.ChargeResponse{Charge: s.charge}, s.err
}

func (s *services) Refund(_ context.Context, req *spillwayv1.RefundRequest) (*spillwayv1.RefundResponse, error) {
	s.asked = req
	return &spillwayv1.RefundResponse{}, s.err
}

func (s *services) Void(_ context.Context, req *spillwayv1.VoidRequest) (*spillwayv1.VoidResponse, error) {
	s.asked = req
	return &spillwayv1.VoidResponse{}, s.err
}

func (s *services) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	s.asked = req
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(s.cost)}, s.err
}

func (s *services) ShipOrder(_ context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	s.asked = req
	return &spillwayv1.ShipOrderResponse{}, s.err
}

func (s *services) GetShipment(context.Context, *spillwayv1.GetShipmentRequest) (*spillwayv1.GetShipmentResponse, error) {
	return nil, errors.New("nobody asks for it here")
}

func (s *services) SendOrderConfirmation(_ context.Context, req *spillwayv1.SendOrderConfirmationRequest) (*spillwayv1.SendOrderConfirmationResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderConfirmationResponse{}, s.err
}

func (s *services) SendOrderShipped(_ context.Context, req *spillwayv1.SendOrderShippedRequest) (*spillwayv1.SendOrderShippedResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderShippedResponse{}, s.err
}

func (s *services) SendOrderCancelled(_ context.Context, req *spillwayv1.SendOrderCancelledRequest) (*spillwayv1.SendOrderCancelledResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderCancelledResponse{}, s.err
}

func (s *services) SendOrderRefunded(_ context.Context, req *spillwayv1.SendOrderRefundedRequest) (*spillwayv1.SendOrderRefundedResponse, error) {
	s.asked = req
	return &spillwayv1.SendOrderRefundedResponse{}, s.err
}

// callers are the clients of the services: once in this process, once behind a URL.
type callers struct {
	payments Payments
	shipping Shipments
	mail     Mails
}

func newCallers(t *testing.T, s *services) map[string]callers {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewPaymentServiceHandler(s))
	mux.Handle(spillwayv1connect.NewShippingServiceHandler(s))
	mux.Handle(spillwayv1connect.NewEmailServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	charging := func(c spillwayv1connect.PaymentServiceClient) *Charging { return newCharging(t, p[breaker.Charges], c) }
	byURL := spillwayv1connect.NewPaymentServiceClient(server.Client(), server.URL)
	return map[string]callers{
		"in process": {Payments{s, p[breaker.Payment], charging(s)}, Shipments{s, p[breaker.Shipping]}, Mails{s, p[breaker.Mail]}},
		"by URL": {
			Payments{byURL, p[breaker.Payment], charging(byURL)},
			Shipments{spillwayv1connect.NewShippingServiceClient(server.Client(), server.URL), p[breaker.Shipping]},
			Mails{spillwayv1connect.NewEmailServiceClient(server.Client(), server.URL), p[breaker.Mail]},
		},
	}
}

func newCharging(t *testing.T, p *breaker.Policy, c spillwayv1connect.PaymentServiceClient) *Charging {
	t.Helper()
	charging := NewCharging(p, c)
	t.Cleanup(func() { _ = charging.Close() })
	return charging
}

func TestAChargeTravels(t *testing.T) {
	for state, want := range map[spillwayv1.ChargeState]order.Charge{
		spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED: {ChargeID: "ch1", State: order.ChargeSucceeded},
		spillwayv1.ChargeState_CHARGE_STATE_DECLINED:  {ChargeID: "ch1", State: order.ChargeDeclined, DeclineCode: "lost_card"},
	} {
		s := &services{charge: &spillwayv1.ChargeRecord{ChargeId: "ch1", State: state, DeclineCode: want.DeclineCode}}
		for how, c := range newCallers(t, s) {
			id := newID()
			want.OrderID = id
			got, err := c.payments.Charge(t.Context(), id, twelve, NewCard("4242424242424242", "123", 2030, 7))
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", how, got, err, want)
			}
			asked := &spillwayv1.ChargeRequest{
				OrderId: string(id), Amount: &spillwayv1.Money{CurrencyCode: "EUR", Units: 12},
				Card: &spillwayv1.Card{Number: "4242424242424242", Cvv: "123", ExpiryYear: 2030, ExpiryMonth: 7},
			}
			if !proto.Equal(s.asked, asked) {
				t.Errorf("%s: the service was asked something else", how)
			}
		}
	}
}

func TestOrdersTravelToTheirServices(t *testing.T) {
	o := mugs(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	s := &services{cost: order.Money{Currency: "JPY", Amount: 1500}}
	for how, c := range newCallers(t, s) {
		cost, err := c.shipping.Quote(t.Context(), o.Address, o.Demand(), "JPY")
		if q, ok := s.asked.(*spillwayv1.GetQuoteRequest); err != nil || cost != s.cost || !ok || q.GetCurrencyCode() != "JPY" || len(q.GetLines()) != 1 {
			t.Errorf("%s: quote %v, %v for %v", how, cost, err, s.asked)
		}
		if err := c.shipping.Ship(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.ShipOrderRequest); !ok || q.GetOrderId() != string(o.ID) || q.GetTrackingId() != o.TrackingID ||
			wire.FromAddress(q.GetAddress()) != o.Address || q.GetLines()[0].GetQuantity() != 3 {
			t.Errorf("%s: the carrier's service was asked %v", how, s.asked)
		}
		if err := c.mail.SendConfirmation(t.Context(), o); err != nil {
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

func TestRefundAndVoidTravel(t *testing.T) {
	s := &services{err: connect.NewError(connect.CodeFailedPrecondition, errors.New("not now"))}
	for how, c := range newCallers(t, s) {
		if err := c.payments.Refund(t.Context(), "O1", "why"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("%s: %v; want ErrFailedPrecondition", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.RefundRequest); !ok || q.GetOrderId() != "O1" || q.GetReason() != "why" {
			t.Errorf("%s: asked %v", how, s.asked)
		}
		if err := c.payments.Void(t.Context(), "O2"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("%s: %v; want ErrFailedPrecondition", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.VoidRequest); !ok || q.GetOrderId() != "O2" {
			t.Errorf("%s: asked %v", how, s.asked)
		}
	}
}

func TestCodesBecomeTheDomainsErrors(t *testing.T) {
	for code, c := range map[connect.Code]struct {
		want    error
		unknown bool // whether a charge that ends so may have happened
		failure bool
	}{
		connect.CodeInvalidArgument:    {order.ErrInvalid, false, false},
		connect.CodeNotFound:           {order.ErrNotFound, false, false},
		connect.CodeAlreadyExists:      {order.ErrAlreadyExists, false, false},
		connect.CodeFailedPrecondition: {order.ErrFailedPrecondition, false, false},
		connect.CodeResourceExhausted:  {order.ErrOverloaded, false, false},
		connect.CodeCanceled:           {context.Canceled, true, false},
		connect.CodeUnavailable:        {order.ErrUnavailable, true, true},
		connect.CodeDeadlineExceeded:   {order.ErrUnavailable, true, true},
		connect.CodeInternal:           {order.ErrUnknownOutcome, true, true},
		connect.CodeUnknown:            {order.ErrUnknownOutcome, true, true},
		connect.CodeAborted:            {order.ErrUnknownOutcome, true, true},
	} {
		s := &services{err: connect.NewError(code, errors.New("so it is"))}
		for how, call := range newCallers(t, s) {
			_, err := call.payments.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242"))
			if !errors.Is(err, c.want) || errors.Is(err, order.ErrUnknownOutcome) != c.unknown {
				t.Errorf("%s: %s became %v", how, code, err)
			}
			if got := breaker.IsFailure(FromConnect(s.err)); got != c.failure {
				t.Errorf("%s counts as a failure: %v", code, got)
			}
		}
	}
}

// TestWhatIsKnownOfAParcelTravels: whoever cancels an order relies on it.
func TestWhatIsKnownOfAParcelTravels(t *testing.T) {
	for name, c := range map[string]struct {
		code    connect.Code
		inside  error
		want    error
		unknown bool
	}{
		"refused this time": {connect.CodeAborted, order.ErrRejected, order.ErrRejected, false},
		"refused for good":  {connect.CodeInvalidArgument, order.ErrInvalid, order.ErrInvalid, false},
		"busy":              {connect.CodeResourceExhausted, order.ErrOverloaded, order.ErrOverloaded, false},
		"nobody knows":      {connect.CodeUnavailable, errors.Join(order.ErrUnavailable, order.ErrUnknownOutcome), order.ErrUnavailable, true},
		"something else":    {connect.CodeInternal, errors.New("a bug"), order.ErrUnknownOutcome, true},
		"its caller left":   {connect.CodeCanceled, context.Canceled, context.Canceled, true},
	} {
		for how, err := range map[string]error{"in process": c.inside, "by URL": connect.NewError(c.code, errors.New("so it is"))} {
			s := &services{err: err}
			got := newCallers(t, s)[how].shipping.Ship(t.Context(), mugs(t))
			if !errors.Is(got, c.want) || errors.Is(got, order.ErrUnknownOutcome) != c.unknown {
				t.Errorf("%s, %s: %v", name, how, got)
			}
		}
	}
	s, p := &services{}, breaker.NewPolicy(breaker.Handover, quick)
	tripped(t, p)
	if err := (Shipments{s, p}).Ship(t.Context(), mugs(t)); err == nil || errors.Is(err, order.ErrUnknownOutcome) || s.asked != nil {
		t.Errorf("an open breaker: %v, after asking %v; want a known outcome: nothing was sent", err, s.asked)
	}
	if !breaker.IsFailure(order.ErrRejected) {
		t.Error("a carrier that takes nothing is not working")
	}
}

func TestMailsTravel(t *testing.T) {
	o, refund := mugs(t), order.Money{Currency: "EUR", Amount: 3645}
	s := &services{}
	for how, c := range newCallers(t, s) {
		if err := c.mail.SendRefunded(t.Context(), o, "R1", refund); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.SendOrderRefundedRequest); !ok || q.GetRefundId() != "R1" || !proto.Equal(q.GetRefund(), wire.Money(refund)) {
			t.Errorf("%s: asked %v", how, s.asked)
		}
		if err := c.mail.SendShipped(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.SendOrderShippedRequest); !ok || q.GetOrder().GetId() != string(o.ID) {
			t.Errorf("%s: asked %v", how, s.asked)
		}
		for _, money := range []order.Money{refund, {}} {
			if err := c.mail.SendCancelled(t.Context(), o, money); err != nil {
				t.Errorf("%s: %v", how, err)
			}
			q, ok := s.asked.(*spillwayv1.SendOrderCancelledRequest)
			if !ok || (q.GetRefund() != nil) != (money.Amount != 0) || q.GetRefund() != nil && !proto.Equal(q.GetRefund(), wire.Money(money)) {
				t.Errorf("%s: asked %v", how, s.asked)
			}
		}
	}
}

func TestAServiceSaysWhenToTryAgain(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{2500 * time.Millisecond: 2500 * time.Millisecond, time.Hour: retryMax} {
		busy := connect.NewError(connect.CodeResourceExhausted, errors.New("full"))
		detail, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(asked)})
		if err != nil {
			t.Fatal(err)
		}
		busy.AddDetail(detail)
		s := &services{err: busy}
		for how, c := range newCallers(t, s) {
			var retry *order.RetryError
			if err := c.shipping.Ship(t.Context(), mugs(t)); !errors.As(err, &retry) || retry.After != want || !errors.Is(err, order.ErrOverloaded) {
				t.Errorf("%s: %v; want to wait %s", how, err, want)
			}
		}
	}
}

func TestAServiceThatNeverAnswersIsAnUnknownOutcome(t *testing.T) {
	cfg := quick
	cfg.Timeout = time.Second // It includes the connection; without one, nothing was sent.
	c := Payments{Client: spillwayv1connect.NewPaymentServiceClient(http.DefaultClient, "http://"+frozen(t))}
	c.Charging = newCharging(t, breaker.NewPolicy(breaker.Charges, cfg), c.Client)
	_, err := c.Charge(t.Context(), newID(), twelve, NewCard("4242424242424242", "917", 2030, 7))
	if !errors.Is(err, order.ErrUnknownOutcome) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("got %v; want an unknown outcome", err)
	}
	if strings.Contains(err.Error(), "4242") || strings.Contains(err.Error(), "917") {
		t.Errorf("the error names the card: %v", err)
	}
}

func TestAnOpenBreakerChargesNobody(t *testing.T) {
	s := &services{}
	p := breaker.NewPolicy(breaker.Charges, quick)
	tripped(t, p)
	_, err := Payments{Client: s, Charging: newCharging(t, p, s)}.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242"))
	if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrUnknownOutcome) || s.asked != nil {
		t.Errorf("got %v after asking %v; want a known outcome: nothing was sent", err, s.asked)
	}
}
