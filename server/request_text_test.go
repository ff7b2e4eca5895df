package server

import (
	"net/http"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// TestCheckRequest_Texts: what could drive a terminal, forge a log line or turn a text around is refused in every field, with its path.
func TestCheckRequest_Texts(t *testing.T) {
	const esc = "\x1b[2J\x1b]0;owned\x07"
	place := func(change func(*spillwayv1.PlaceOrderRequest)) *spillwayv1.PlaceOrderRequest {
		m := placeOrder()
		change(m)
		return m
	}
	for field, m := range map[string]proto.Message{
		"shippingAddress.name":        place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Name = "Eve" + esc }),
		"shippingAddress.street":      place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Street = "\u202etxet" }),
		"shippingAddress.city":        place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.City = "B\nlevel=error" }),
		"shippingAddress.region":      place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Region = "a\u2028b" }),
		"shippingAddress.postalCode":  place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.PostalCode = "1\u009b2J" }),
		"shippingAddress.countryCode": place(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.CountryCode = "ZZ" }),
		"email":                       place(func(m *spillwayv1.PlaceOrderRequest) { m.Email = "a..b@example.com" }),
		"reason":                      &spillwayv1.CancelOrderRequest{OrderId: string(newID()), Reason: esc},
		"countryCode":                 &spillwayv1.QuoteRequest{CurrencyCode: "EUR", CountryCode: "XX"},
	} {
		err := checkRequest(m)
		if v := violationsOf(err); len(v) != 1 || v[0].field != field || strings.ContainsAny(v[0].description, "\x1b\u202e") {
			t.Errorf("%s: %v, %+v", field, err, v)
		}
	}
	for _, email := range []string{"a.b@example.com", "a+b@example.co.uk", "o'neil@example.com"} {
		if err := checkRequest(place(func(m *spillwayv1.PlaceOrderRequest) { m.Email = email })); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
	for _, email := range []string{".a@example.com", "a.@example.com", "a..b@example.com", "a@b..c", "Eve <eve@example.com>"} {
		if checkRequest(place(func(m *spillwayv1.PlaceOrderRequest) { m.Email = email })) == nil {
			t.Errorf("%s is taken", email)
		}
	}
}

// TestRules_AreThoseOfCheckTexts: the rules in the protos, which the forms of the pages evaluate too, decide as the server's own.
func TestRules_AreThoseOfCheckTexts(t *testing.T) {
	ruled := func(change func(*spillwayv1.PlaceOrderRequest)) bool {
		m := placeOrder()
		change(m)
		byRules, byTexts := protovalidate.Validate(m) == nil, checkTexts(m) == nil
		if byRules != byTexts {
			t.Errorf("%v: valid by the protos %v, by the server %v", m, byRules, byTexts)
		}
		return byRules
	}
	for r := rune(0); r < 0x3000; r++ {
		ruled(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.City = "a" + string(r) + "b" })
	}
	countries := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if ruled(func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.CountryCode = string(a) + string(b) }) {
				countries++
			}
			quote := &spillwayv1.QuoteRequest{CurrencyCode: "EUR", CountryCode: string(a) + string(b)}
			if (protovalidate.Validate(quote) == nil) != order.IsCountry(quote.GetCountryCode()) {
				t.Errorf("a quote for %s", quote.GetCountryCode())
			}
		}
	}
	if countries != len(order.Countries()) {
		t.Errorf("%d countries; want %d", countries, len(order.Countries()))
	}
	for _, email := range []string{
		"a@example.com", "a.b.c@example.com", "a..b@example.com", ".a@example.com", "a.@example.com", "o'neil@example.com", "a+b@example.com", "!#$%&*/=?^_`{|}~-@example.com",
	} {
		ruled(func(m *spillwayv1.PlaceOrderRequest) { m.Email = email })
	}
}

// TestPlaceOrder_UncleanTextOverTheWire gets `invalid_argument` with the field, and the text is nowhere in the response or the log.
func TestPlaceOrder_UncleanTextOverTheWire(t *testing.T) {
	e := startServer(t, Services{Checkout: notCalled})
	status, _, body := e.post(t, placeProcedure, e.token(t, "c"), orderBody("B 1", `B \u001b[2J`))
	if status != http.StatusBadRequest || strings.Contains(body+e.log.String(), "\x1b") {
		t.Errorf("%d %q", status, body)
	}
}
