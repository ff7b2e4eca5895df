package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// fakeCountryQuoter charges 1 in Germany, and 2 elsewhere.
type fakeCountryQuoter struct{}

func (fakeCountryQuoter) Quote(_ context.Context, to order.Address, _ []order.Demand, currency order.Currency) (order.Money, error) {
	if to.CountryCode == "DE" {
		return order.Money{Currency: currency, Amount: 1}, nil
	}
	return order.Money{Currency: currency, Amount: 2}, nil
}

func TestQuote_CountryOnly(t *testing.T) {
	s := newCheckoutFixture(t)
	s.Shipping = fakeCountryQuoter{}
	german := &spillwayv1.Address{Name: "N", Street: "S", City: "C", CountryCode: "DE"}
	for name, c := range map[string]struct {
		req  *spillwayv1.QuoteRequest
		want int32 // cents
	}{
		"a country":               {&spillwayv1.QuoteRequest{CountryCode: "DE"}, 1},
		"an address":              {&spillwayv1.QuoteRequest{ShippingAddress: german}, 1},
		"another country":         {&spillwayv1.QuoteRequest{CountryCode: "US"}, 2},
		"a country that is newer": {&spillwayv1.QuoteRequest{CountryCode: "US", ShippingAddress: german}, 2},
	} {
		c.req.Lines, c.req.CurrencyCode = []*spillwayv1.Line{{Sku: "A", Quantity: 1}}, "EUR"
		got, err := s.Quote(s.ctx, c.req)
		if cents := got.GetShippingTotal().GetNanos() / 10_000_000; err != nil || cents != c.want {
			t.Errorf("%s: %v, %v; want %d cents", name, got.GetShippingTotal(), err, c.want)
		}
	}
}

func TestQuote_NoCountry(t *testing.T) {
	e := startServer(t, allServices(t))
	token := e.token(t, "g")
	for procedure, bodies := range map[string][]string{
		spillwayv1connect.CheckoutServiceQuoteProcedure: {
			`{"currencyCode":"EUR"}`, `{"currencyCode":"EUR","countryCode":"de"}`, `{"currencyCode":"EUR","shippingAddress":{}}`,
		},
		spillwayv1connect.ShippingServiceGetQuoteProcedure: {`{"lines":[{"sku":"A","quantity":1}]}`, `{"lines":[{"sku":"A","quantity":1}],"countryCode":"DEU"}`},
	} {
		for _, body := range bodies {
			if status, _, got := e.post(t, procedure, token, body); status != http.StatusBadRequest || !strings.Contains(got, "INVALID_FIELD") {
				t.Errorf("%s %s: %d %s; want 400 with INVALID_FIELD", procedure, body, status, got)
			}
		}
	}
}
