package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/shipping/simulated"
)

// TestShipping_OutcomeOfAParcel goes the whole way, in process and by URL.
func TestShipping_OutcomeOfAParcel(t *testing.T) {
	carrier := &simulated.Carrier{}
	service := shipping.Service{Carrier: carrier}
	mux := http.NewServeMux()
	mux.Handle(spillwayv1connect.NewShippingServiceHandler(service, connect.WithInterceptors(edge(slog.New(slog.DiscardHandler)))))
	behind := httptest.NewServer(mux)
	t.Cleanup(behind.Close)
	cfg := breaker.Config{Failures: 100, Window: 100, Delay: time.Second}
	for how, client := range map[string]spillwayv1connect.ShippingServiceClient{
		"in process": service, "by URL": spillwayv1connect.NewShippingServiceClient(behind.Client(), behind.URL),
	} {
		before := carrier.Parcels()
		for _, step := range []struct {
			mode          simulated.Mode
			refuse        error
			want          error
			unknown, have bool
		}{
			{mode: simulated.Down, want: order.ErrRejected},
			{mode: simulated.OK, refuse: errors.New("no parcels to the moon"), want: order.ErrInvalid},
			{mode: simulated.Late, want: order.ErrUnavailable, unknown: true, have: true},
			{mode: simulated.OK, have: true},
		} {
			cfg.Timeout = time.Minute
			if step.unknown { // It ends the call.
				cfg.Timeout = 300 * time.Millisecond
			}
			caller := shipping.Client{Service: client, Policy: breaker.NewPolicy(breaker.Handover, cfg)}
			carrier.SetMode(step.mode)
			carrier.Refuse = func(shipping.Parcel) error { return step.refuse }
			o := order.Order{ID: newID(), Address: order.Address{CountryCode: "DE"}, Lines: []order.Line{{SKU: "A", Quantity: 1}}}
			err := caller.Ship(t.Context(), o)
			if !errors.Is(err, step.want) || errors.Is(err, order.ErrUnknownOutcome) != step.unknown {
				t.Errorf("%s, %s: %v; want %v", how, step.mode, err, step.want)
			}
			if has := carrier.Parcels() > before; has != step.have {
				t.Errorf("%s, %s: the carrier has it: %v", how, step.mode, has)
			}
			before = carrier.Parcels()
		}
	}
}
