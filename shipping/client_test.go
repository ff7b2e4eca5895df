package shipping

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
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

// fakeService returns what the test sets and records the last request.
type fakeService struct {
	err     error
	cost    order.Money
	request proto.Message
}

func (s *fakeService) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	s.request = req
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(s.cost)}, s.err
}

func (s *fakeService) ShipOrder(_ context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	s.request = req
	return &spillwayv1.ShipOrderResponse{}, s.err
}

func (s *fakeService) GetShipment(context.Context, *spillwayv1.GetShipmentRequest) (*spillwayv1.GetShipmentResponse, error) {
	return nil, errors.New("not implemented")
}

// newClients returns two clients of the service: one in this process, one behind a URL.
func newClients(t *testing.T, s *fakeService) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewShippingServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewShippingServiceClient(server.Client(), server.URL)
	return map[string]Client{"in process": {s, p[breaker.Shipping]}, "by URL": {byURL, p[breaker.Shipping]}}
}

// newOrder returns a priced order of three mugs.
func newOrder(t *testing.T) order.Order {
	t.Helper()
	id := order.NewID(0, time.Now())
	o := order.Order{
		ID: id, Currency: "EUR", Email: "ada@example.com", TrackingID: NewTrackingID(id),
		Lines:   []order.Line{{SKU: "6E92ZMYYFZ", Name: "Mug & <Saucer>", Quantity: 3, UnitPrice: 899}},
		Address: order.Address{Name: "Ada <b>Lovelace</b>", Street: "Weg 1", City: "Köln", PostalCode: "50667", CountryCode: "DE"},
	}
	if err := o.Price(948); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestClient_QuoteAndShip(t *testing.T) {
	o := newOrder(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	s := &fakeService{cost: order.Money{Currency: "JPY", Amount: 1500}}
	for how, c := range newClients(t, s) {
		cost, err := c.Quote(t.Context(), o.Address, o.Demand(), "JPY")
		if q, ok := s.request.(*spillwayv1.GetQuoteRequest); err != nil || cost != s.cost || !ok || q.GetCurrencyCode() != "JPY" || len(q.GetLines()) != 1 {
			t.Errorf("%s: quote %v, %v for %v", how, cost, err, s.request)
		}
		if err := c.Ship(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.request.(*spillwayv1.ShipOrderRequest); !ok || q.GetOrderId() != string(o.ID) || q.GetTrackingId() != o.TrackingID ||
			wire.FromAddress(q.GetAddress()) != o.Address || q.GetLines()[0].GetQuantity() != 3 {
			t.Errorf("%s: the shipping service got %v", how, s.request)
		}
	}
}

// TestClient_ShipOutcomes checks which errors mean an unknown outcome. Cancellations rely on it.
func TestClient_ShipOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		code    connect.Code
		inside  error
		want    error
		unknown bool
	}{
		"rejected this time":   {connect.CodeAborted, order.ErrRejected, order.ErrRejected, false},
		"rejected permanently": {connect.CodeInvalidArgument, order.ErrInvalid, order.ErrInvalid, false},
		"overloaded":           {connect.CodeResourceExhausted, order.ErrOverloaded, order.ErrOverloaded, false},
		"no response":          {connect.CodeUnavailable, errors.Join(order.ErrUnavailable, order.ErrUnknownOutcome), order.ErrUnavailable, true},
		"internal error":       {connect.CodeInternal, errors.New("a bug"), order.ErrUnknownOutcome, true},
		"caller left":          {connect.CodeCanceled, context.Canceled, order.ErrUnknownOutcome, true},
	} {
		for how, err := range map[string]error{"in process": c.inside, "by URL": connect.NewError(c.code, errors.New("message"))} {
			s := &fakeService{err: err}
			got := newClients(t, s)[how].Ship(t.Context(), newOrder(t))
			if !errors.Is(got, c.want) || errors.Is(got, order.ErrUnknownOutcome) != c.unknown {
				t.Errorf("%s, %s: %v", name, how, got)
			}
		}
	}
	s, p := &fakeService{}, breaker.NewPolicy(breaker.Handover, breaker.DefaultPolicies()[breaker.Handover])
	for p.Permit() == nil {
		p.Report(order.ErrUnavailable)
	}
	if err := (Client{s, p}).Ship(t.Context(), newOrder(t)); err == nil || errors.Is(err, order.ErrUnknownOutcome) || s.request != nil {
		t.Errorf("an open breaker: %v, request %v; want a known outcome without a request", err, s.request)
	}
	if !breaker.IsFailure(order.ErrRejected) {
		t.Error("a carrier that rejects parcels must count as a failure")
	}
}

func TestClient_RetryHint(t *testing.T) {
	for delay, want := range map[time.Duration]time.Duration{2500 * time.Millisecond: 2500 * time.Millisecond, time.Hour: time.Minute} {
		busy := connect.NewError(connect.CodeResourceExhausted, errors.New("full"))
		detail, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		busy.AddDetail(detail)
		s := &fakeService{err: busy}
		for how, c := range newClients(t, s) {
			var retry *order.RetryError
			if err := c.Ship(t.Context(), newOrder(t)); !errors.As(err, &retry) || retry.After != want || !errors.Is(err, order.ErrOverloaded) {
				t.Errorf("%s: %v; want a retry hint of %s", how, err, want)
			}
		}
	}
}
