package mail

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// fakeService returns what the test sets and records the last request.
type fakeService struct {
	err     error
	request *spillwayv1.SendOrderMailRequest
}

func (s *fakeService) SendOrderMail(_ context.Context, req *spillwayv1.SendOrderMailRequest) (*spillwayv1.SendOrderMailResponse, error) {
	s.request = req
	return &spillwayv1.SendOrderMailResponse{}, s.err
}

// newClients returns two clients of the service: one in this process, one behind a URL.
func newClients(t *testing.T, s *fakeService) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewEmailServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewEmailServiceClient(server.Client(), server.URL)
	return map[string]Client{"in process": {s, p[breaker.Mail]}, "by URL": {byURL, p[breaker.Mail]}}
}

// TestClient_EachKind checks that the service gets a mail of each kind unchanged.
func TestClient_EachKind(t *testing.T) {
	o := newOrder(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	refund := order.Money{Currency: "EUR", Amount: 3645}
	s := &fakeService{}
	for how, c := range newClients(t, s) {
		for _, want := range []order.Mail{
			{Kind: order.MailConfirmation, Order: o},
			{Kind: order.MailShipped, Order: o},
			{Kind: order.MailCancelled, Order: o},
			{Kind: order.MailCancelled, Order: o, Refund: refund},
			{Kind: order.RefundMail(string(o.ID)), Order: o, Refund: refund},
		} {
			if err := c.Send(t.Context(), want); err != nil {
				t.Errorf("%s: %v", how, err)
			}
			if got, err := wire.FromMailRequest(s.request); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, %v; want %+v", how, got, err, want)
			}
		}
	}
}
