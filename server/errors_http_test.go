package server

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/requestid"
)

func TestUnknownProcedures_OverEachProtocol(t *testing.T) {
	e := startServer(t, Services{Checkout: notCalled})
	for protocol, p := range protocols(h2cClient(t), e.client) {
		opts := append(p.opts, bearer(e.token(t, "c"))) //nolint:gocritic // The options are of this client alone.
		for name, procedure := range map[string]string{
			"unknown method":  "/spillway.v1.CheckoutService/Sell",
			"unknown service": "/spillway.v2.CheckoutService/PlaceOrder",
			"left out":        spillwayv1connect.CartServiceGetCartProcedure,
			"internal":        spillwayv1connect.PaymentServiceChargeProcedure,
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				client := connect.NewClient[spillwayv1.GetCartRequest, spillwayv1.GetCartResponse](p.client, e.url+procedure, opts...)
				_, err := client.CallUnary(t.Context(), connect.NewRequest(&spillwayv1.GetCartRequest{}))
				wantReason(t, err, connect.CodeUnimplemented, "PROCEDURE_NOT_SERVED")
			})
		}
	}
}

func TestUnknownPaths_ArePlain404(t *testing.T) {
	e := startServer(t, allServices(t))
	for name, c := range map[string]struct{ method, path, contentType string }{
		"GET":                        {http.MethodGet, "/wp-login.php", ""},
		"GET below a service":        {http.MethodGet, "/spillway.v1.CartService/Sell", ""},
		"POST of a form":             {http.MethodPost, "/wp-login.php", "application/x-www-form-urlencoded"},
		"a form, below a service":    {http.MethodPost, "/spillway.v1.CartService/Sell", "application/x-www-form-urlencoded"},
		"DELETE":                     {http.MethodDelete, "/", ""},
		"PUT of JSON":                {http.MethodPut, "/x", "application/json"},
		"a service without a method": {http.MethodGet, "/spillway.v1.CartService/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, e.url+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.contentType)
			status, h, body := e.do(t, req)
			if status != http.StatusNotFound || strings.HasPrefix(body, "{") || h.Get(requestid.Header) == "" {
				t.Errorf("%d %q %v; want a plain 404 with a request id", status, body, h)
			}
		})
	}
}

// TestRequestID_IsInTheResponse: also when the call succeeds.
func TestRequestID_IsInTheResponse(t *testing.T) {
	e := startServer(t, allServices(t))
	for _, procedure := range []string{spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure, spillwayv1connect.CartServiceGetCartProcedure} {
		if _, h, body := e.post(t, procedure, "", "{}", requestid.Header, "mine-1"); h.Get(requestid.Header) != "mine-1" {
			t.Errorf("%s: the response has the id %q: %s", procedure, h.Get(requestid.Header), body)
		}
	}
	if _, h, _ := e.post(t, placeProcedure, "", "{}", requestid.Header, "a b"); h.Get(requestid.Header) == "a b" || h.Get(requestid.Header) == "" {
		t.Errorf("an id that is not well-formed is %q in the response", h.Get(requestid.Header))
	}
}
