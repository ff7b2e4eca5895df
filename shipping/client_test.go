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
	err   error
	cost  order.Money
	asked proto.Message
}

func (s *fakeService) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	s.asked = req
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(s.cost)}, s.err
}

func (s *fakeService) ShipOrder(_ context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	s.asked = req
	return &spillwayv1.ShipOrderResponse{}, s.err
}

func (s *fakeService) GetShipment(context.Context, *spillwayv1.GetShipmentRequest) (*spillwayv1.GetShipmentResponse, error) {
	return nil, errors.New("nobody asks for it here")
}

// newCallers are clients of the service: one in this process, one behind a URL.
func newCallers(t *testing.T, s *fakeService) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewShippingServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewShippingServiceClient(server.Client(), server.URL)
	return map[string]Client{"in process": {s, p[breaker.Shipping]}, "by URL": {byURL, p[breaker.Shipping]}}
}

func mugs(t *testing.T) order.Order {
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
	o := mugs(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	s := &fakeService{cost: order.Money{Currency: "JPY", Amount: 1500}}
	for how, c := range newCallers(t, s) {
		cost, err := c.Quote(t.Context(), o.Address, o.Demand(), "JPY")
		if q, ok := s.asked.(*spillwayv1.GetQuoteRequest); err != nil || cost != s.cost || !ok || q.GetCurrencyCode() != "JPY" || len(q.GetLines()) != 1 {
			t.Errorf("%s: quote %v, %v for %v", how, cost, err, s.asked)
		}
		if err := c.Ship(t.Context(), o); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if q, ok := s.asked.(*spillwayv1.ShipOrderRequest); !ok || q.GetOrderId() != string(o.ID) || q.GetTrackingId() != o.TrackingID ||
			wire.FromAddress(q.GetAddress()) != o.Address || q.GetLines()[0].GetQuantity() != 3 {
			t.Errorf("%s: the carrier's service was asked %v", how, s.asked)
		}
	}
}

// TestClient_KnownOutcomeOfAParcel: whoever cancels an order relies on it.
func TestClient_KnownOutcomeOfAParcel(t *testing.T) {
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
			s := &fakeService{err: err}
			got := newCallers(t, s)[how].Ship(t.Context(), mugs(t))
			if !errors.Is(got, c.want) || errors.Is(got, order.ErrUnknownOutcome) != c.unknown {
				t.Errorf("%s, %s: %v", name, how, got)
			}
		}
	}
	s, p := &fakeService{}, breaker.NewPolicy(breaker.Handover, breaker.DefaultPolicies()[breaker.Handover])
	for p.Permit() == nil {
		p.Report(order.ErrUnavailable)
	}
	if err := (Client{s, p}).Ship(t.Context(), mugs(t)); err == nil || errors.Is(err, order.ErrUnknownOutcome) || s.asked != nil {
		t.Errorf("an open breaker: %v, after asking %v; want a known outcome: nothing was sent", err, s.asked)
	}
	if !breaker.IsFailure(order.ErrRejected) {
		t.Error("a carrier that takes nothing is not working")
	}
}

func TestClient_RetryHint(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{2500 * time.Millisecond: 2500 * time.Millisecond, time.Hour: time.Minute} {
		busy := connect.NewError(connect.CodeResourceExhausted, errors.New("full"))
		detail, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(asked)})
		if err != nil {
			t.Fatal(err)
		}
		busy.AddDetail(detail)
		s := &fakeService{err: busy}
		for how, c := range newCallers(t, s) {
			var retry *order.RetryError
			if err := c.Ship(t.Context(), mugs(t)); !errors.As(err, &retry) || retry.After != want || !errors.Is(err, order.ErrOverloaded) {
				t.Errorf("%s: %v; want to wait %s", how, err, want)
			}
		}
	}
}
