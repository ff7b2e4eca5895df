package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/wire"
)

// fakeParties count the mails and parcels that reach them.
type fakeParties struct {
	spillwayv1connect.UnimplementedEmailServiceHandler
	spillwayv1connect.UnimplementedShippingServiceHandler

	mails, parcels int
}

func (f *fakeParties) SendOrderMails(_ context.Context, req *spillwayv1.SendOrderMailsRequest) (*spillwayv1.SendOrderMailsResponse, error) {
	f.mails += len(req.GetMails())
	return &spillwayv1.SendOrderMailsResponse{}, nil
}

func (f *fakeParties) ShipOrder(context.Context, *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	f.parcels++
	return &spillwayv1.ShipOrderResponse{}, nil
}

// TestInternalHandler_OlderOrders: orders that were taken in before a rule for texts or countries existed are mailed and shipped, and cost the others
// of their batch nothing. What breaks the form of a request is refused as before.
func TestInternalHandler_OlderOrders(t *testing.T) {
	t.Parallel()
	p, parties := newInternalPort(t), &fakeParties{}
	srv := httptest.NewServer(server.NewInternalHandler(
		server.InternalConfig{Tokens: p.tokens, Log: slog.New(slog.DiscardHandler)}, server.InternalServices{Email: parties, Shipping: parties},
	))
	t.Cleanup(srv.Close)
	caller := p.caller(t, nil, auth.Service)
	email := spillwayv1connect.NewEmailServiceClient(http.DefaultClient, srv.URL, caller)
	shipping := spillwayv1connect.NewShippingServiceClient(http.DefaultClient, srv.URL, caller)
	kosovo := order.Address{Name: "Eve\x1b[2J", Street: "\u202etxet", City: "Prishtina", CountryCode: "XK"}
	var mails []order.Mail
	for _, address := range []order.Address{kosovo, {Name: "Ada", Street: "Weg 1", City: "Berlin", CountryCode: "DE"}} {
		o := order.Order{ID: order.NewID(0, time.Now()), State: order.Paid, Currency: "EUR", Email: "a..b@example.com", Address: address}
		mails = append(mails, order.Mail{Kind: order.MailConfirmation, Order: o})
	}
	if _, err := email.SendOrderMails(t.Context(), wire.MailsRequest(mails)); err != nil || parties.mails != 2 {
		t.Errorf("%d mails arrive, %v; want 2", parties.mails, err)
	}
	ship := &spillwayv1.ShipOrderRequest{
		OrderId: string(
			mails[0].Order.ID,
		), TrackingId: "T", Address: wire.Order(mails[0].Order).GetShippingAddress(), Lines: []*spillwayv1.Line{{Sku: "MUG", Quantity: 1}},
	}
	if _, err := shipping.ShipOrder(t.Context(), ship); err != nil || parties.parcels != 1 {
		t.Errorf("%d parcels arrive, %v; want 1", parties.parcels, err)
	}
	ship.Address = nil
	if _, err := shipping.ShipOrder(t.Context(), ship); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("without an address: %v; want invalid_argument", err)
	}
	if _, err := email.SendOrderMails(t.Context(), &spillwayv1.SendOrderMailsRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("without mails: %v; want invalid_argument", err)
	}
}
