package mail

import (
	"context"
	"errors"
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

// fakeService records the requests and returns err, or the result of each mail by its kind; nil is that it was sent.
type fakeService struct {
	err      error
	results  map[order.MailKind]error
	requests []*spillwayv1.SendOrderMailsRequest
}

func (s *fakeService) SendOrderMails(_ context.Context, req *spillwayv1.SendOrderMailsRequest) (*spillwayv1.SendOrderMailsResponse, error) {
	s.requests = append(s.requests, req)
	resp := &spillwayv1.SendOrderMailsResponse{}
	for _, r := range req.GetMails() {
		m, err := wire.FromMailRequest(r)
		if err != nil {
			return nil, err
		}
		resp.Results = append(resp.Results, wire.MailResult(s.results[m.Kind]))
	}
	return resp, s.err
}

// newClients returns two clients of the service: one in this process, one behind a URL.
func newClients(t *testing.T, s spillwayv1connect.EmailServiceHandler) map[string]Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewEmailServiceHandler(s))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := breaker.NewPolicies(breaker.DefaultPolicies())
	byURL := spillwayv1connect.NewEmailServiceClient(server.Client(), server.URL)
	return map[string]Client{"in process": {Service: s, Policy: p[breaker.Mail]}, "by URL": {Service: byURL, Policy: p[breaker.Mail]}}
}

// TestClient_EachKind checks that the service gets a mail of each kind unchanged.
func TestClient_EachKind(t *testing.T) {
	o := newOrder(t)
	o.CreatedAt = time.Now().UTC().Truncate(time.Microsecond)
	o.UpdatedAt = o.CreatedAt
	refund := order.Money{Currency: "EUR", Amount: 3645}
	want := []order.Mail{
		{Kind: order.MailConfirmation, Order: o},
		{Kind: order.MailShipped, Order: o},
		{Kind: order.MailCancelled, Order: o},
		{Kind: order.MailCancelled, Order: o, Refund: refund},
		{Kind: order.RefundMail(string(o.ID)), Order: o, Refund: refund},
	}
	s := &fakeService{}
	for how, c := range newClients(t, s) {
		s.requests = nil
		if err := errors.Join(c.Send(t.Context(), want)...); err != nil || len(s.requests) != 1 {
			t.Fatalf("%s: %v in %d calls", how, err, len(s.requests))
		}
		for i, req := range s.requests[0].GetMails() {
			if got, err := wire.FromMailRequest(req); err != nil || !reflect.DeepEqual(got, want[i]) {
				t.Errorf("%s: got %+v, %v; want %+v", how, got, err, want[i])
			}
		}
	}
}

// TestClient_ResultOfEachMail: the error of a mail is the same in process and by URL.
func TestClient_ResultOfEachMail(t *testing.T) {
	o := newOrder(t)
	s := &fakeService{results: map[order.MailKind]error{
		order.MailShipped: order.ErrInvalid, order.MailCancelled: order.ErrUnavailable, order.RefundMail(string(o.ID)): order.ErrOverloaded,
	}}
	mails := []order.Mail{
		{Kind: order.MailConfirmation, Order: o},
		{Kind: order.MailShipped, Order: o},
		{Kind: order.MailCancelled, Order: o},
		{Kind: order.RefundMail(string(o.ID)), Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}},
	}
	for how, c := range newClients(t, s) {
		for i, err := range c.Send(t.Context(), mails) {
			if want := s.results[mails[i].Kind]; !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("%s: the %s mail: %v; want %v", how, mails[i].Kind, err, want)
			}
		}
	}
}

func TestClient_ManyMailsAreSentInBatches(t *testing.T) {
	s, o := &fakeService{}, newOrder(t)
	mails := make([]order.Mail, 2*MaxBatch+1)
	for i := range mails {
		mails[i] = order.Mail{Kind: order.MailShipped, Order: o}
	}
	c := newClients(t, s)["in process"]
	if err := errors.Join(c.Send(t.Context(), mails)...); err != nil || len(s.requests) != 3 || len(s.requests[2].GetMails()) != 1 {
		t.Errorf("%d calls, %v", len(s.requests), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.Send(ctx, mails) {
		if !errors.Is(err, order.ErrOverloaded) || !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of ctx: %v", err)
		}
	}
}

// TestClient_BreakerOpensOnlyIfNoMailCanBeSent: a refused address, or one mailbox that is full, is no failure of the server.
func TestClient_BreakerOpensOnlyIfNoMailCanBeSent(t *testing.T) {
	o := newOrder(t)
	confirmation, shipped := order.Mail{Kind: order.MailConfirmation, Order: o}, order.Mail{Kind: order.MailShipped, Order: o}
	for _, c := range []struct {
		name, state string
		err         error
	}{
		{"one of two fails", "closed", nil},
		{"both fail", "open", nil},
		{"the service fails", "open", order.ErrUnavailable},
	} {
		s := &fakeService{err: c.err, results: map[order.MailKind]error{order.MailConfirmation: order.ErrUnavailable}}
		if c.state == "open" {
			s.results[order.MailShipped] = order.ErrUnavailable
		}
		client := newClients(t, s)["in process"]
		for range 10 {
			client.Send(t.Context(), []order.Mail{confirmation, shipped})
		}
		if got := client.Policy.State(); got != c.state {
			t.Errorf("%s: the breaker is %s; want %s", c.name, got, c.state)
		}
	}
	for _, result := range []error{order.ErrInvalid, order.ErrOverloaded} {
		client := newClients(t, &fakeService{results: map[order.MailKind]error{order.MailConfirmation: result}})["in process"]
		for range 10 {
			client.Send(t.Context(), []order.Mail{confirmation})
		}
		if got := client.Policy.State(); got != "closed" {
			t.Errorf("after %v the breaker is %s", result, got)
		}
	}
}
