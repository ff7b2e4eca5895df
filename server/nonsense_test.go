package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// cardNumber is looked for wherever it must not be.
const cardNumber = "4242424242424242"

const placeProcedure = spillwayv1connect.CheckoutServicePlaceOrderProcedure

// orderBody is an order with parts replaced: pairs of what to replace and what by.
func orderBody(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`{"lines":[{"sku":"OLJCESPC7Z","quantity":2}],"currencyCode":"EUR","email":"a@example.com",` +
		`"shippingAddress":{"name":"A","street":"B 1","city":"C","region":"","postalCode":"10115","countryCode":"DE"},` +
		`"card":{"number":"` + cardNumber + `","cvv":"987","expiryYear":2030,"expiryMonth":1}}`)
}

// TestPlaceOrder_InvalidRequests sends what no client should. No answer and no line of the log holds the card (I13).
func TestPlaceOrder_InvalidRequests(t *testing.T) {
	e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
		return nil, errNotCalled
	}}})
	token := e.token(t, "c")
	for name, c := range map[string]struct {
		body   string
		header string
		status int
		says   string
	}{
		"quantity 0":              {body: orderBody(`"quantity":2`, `"quantity":0`), says: "lines[0].quantity"},
		"quantity -1":             {body: orderBody(`"quantity":2`, `"quantity":-1`), says: "lines[0].quantity"},
		"quantity 10^9":           {body: orderBody(`"quantity":2`, `"quantity":1000000000`), says: "lines[0].quantity"},
		"quantity beyond int32":   {body: orderBody(`"quantity":2`, `"quantity":100000000000`), says: "quantity"},
		"half a unit":             {body: orderBody(`"quantity":2`, `"quantity":0.5`), says: "quantity"},
		"no sku":                  {body: orderBody("OLJCESPC7Z", ""), says: "lines[0].sku"},
		"currency in small":       {body: orderBody("EUR", "eur"), says: "currencyCode"},
		"no mail address":         {body: orderBody("a@example.com", "nobody"), says: "email"},
		"no address":              {body: orderBody("shippingAddress", "shippingAdress"), says: "shippingAdress"},
		"a short card":            {body: orderBody(cardNumber, "4242"), says: "card.number"},
		"letters in the card":     {body: orderBody(cardNumber, cardNumber+"x"), says: "card.number"},
		"a long cvv":              {body: orderBody("987", "98765"), says: "card.cvv"},
		"month 13":                {body: orderBody(`"expiryMonth":1`, `"expiryMonth":13`), says: "card.expiryMonth"},
		"a card as a number":      {body: orderBody(`"`+cardNumber+`"`, cardNumber), says: "number"},
		"a card as the year":      {body: orderBody("2030", cardNumber), says: "expiryYear"},
		"a card as an unknown":    {body: orderBody(`"lines"`, `"`+cardNumber+`":1,"lines"`), says: "line 1"},
		"a card outside of JSON":  {body: orderBody(`}}`, `}}`+cardNumber), says: "line 1"},
		"a card in a card's list": {body: orderBody(`"card":{`, `"card":["`+cardNumber+`"],"x":{`), says: "line 1"},
		"an unknown field":        {body: orderBody(`"currencyCode"`, `"currency"`), says: `unknown field \"currency\"`},
		"an unknown inner field":  {body: orderBody(`"cvv"`, `"cvc"`), says: `unknown field \"cvc\"`},
		"a field twice":           {body: orderBody(`"currencyCode":"EUR"`, `"currencyCode":"EUR","currencyCode":"USD"`), says: "line 1"},
		"no JSON":                 {body: "lines=1&card=" + cardNumber, says: "JSON"},
		"half of the JSON":        {body: orderBody()[:150], says: "JSON"},
		"a list":                  {body: "[" + orderBody() + "]", says: "JSON"},
		"nothing":                 {body: "", says: "empty"},
		"too much": {
			body: orderBody("B 1", strings.Repeat("x", maxBodyBytes)), status: http.StatusRequestEntityTooLarge, says: "BODY_TOO_LARGE",
		},
		"a form":          {body: orderBody(), header: "application/x-www-form-urlencoded", status: http.StatusUnsupportedMediaType, says: "application/json"},
		"text":            {body: orderBody(), header: "text/plain", status: http.StatusUnsupportedMediaType, says: "application/json"},
		"XML":             {body: orderBody(), header: "application/xml", status: http.StatusUnsupportedMediaType, says: "application/json"},
		"nearly JSON":     {body: orderBody(), header: "application/json5", status: http.StatusUnsupportedMediaType, says: "application/json"},
		"JSON in Latin 1": {body: orderBody(), header: "application/json; charset=latin1", status: http.StatusUnsupportedMediaType, says: "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.status == 0 {
				c.status = http.StatusBadRequest
			}
			if c.header == "" {
				c.header = "application/json"
			}
			status, _, body := e.post(t, placeProcedure, token, c.body, "Content-Type", c.header, "Idempotency-Key", "k")
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s; want %d and %q", status, body, c.status, c.says)
			}
			if strings.Contains(body, cardNumber) || strings.Contains(body, "98765") {
				t.Errorf("the card is in the answer: %s", body)
			}
		})
	}
	if strings.Contains(e.log.String(), cardNumber) || strings.Contains(e.log.String(), errNotCalled.Error()) {
		t.Errorf("the card is in the log, or the handler was called:\n%s", e.log)
	}
}

func TestContentTypes_JSON(t *testing.T) {
	e := startServer(t, allServices(t))
	for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"} {
		status, _, body := e.post(t, spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure, "", "{}", "Content-Type", kind)
		if status != http.StatusOK || !strings.Contains(body, `"EUR"`) {
			t.Errorf("%s: %d %s", kind, status, body)
		}
	}
}

// TestContentTypes_OtherMethodsAndEncodings: what no procedure reads is refused with a text of what to send.
func TestContentTypes_OtherMethodsAndEncodings(t *testing.T) {
	e := startServer(t, allServices(t))
	procedure := spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, http.MethodOptions} {
		req, err := http.NewRequestWithContext(t.Context(), method, e.url+procedure, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, header, body := e.do(t, req); status != http.StatusMethodNotAllowed || header.Get("Allow") != "POST" || !strings.Contains(body, "by POST") {
			t.Errorf("%s: %d %v %q", method, status, header, body)
		}
	}
	status, _, body := e.post(t, procedure, "", "{}", "Content-Encoding", "br")
	if status != http.StatusUnsupportedMediaType || !strings.Contains(body, "UNSUPPORTED_CONTENT_TYPE") || !strings.Contains(body, "gzip") {
		t.Errorf("a compression that is not known: %d %s", status, body)
	}
}

func TestStrictJSON_WritesZeroValues(t *testing.T) {
	b, err := strictJSON{"json"}.Marshal(&spillwayv1.ListProductsResponse{Products: []*spillwayv1.Product{{Sku: "A"}}})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), " ", "")
	for _, want := range []string{`"available":"0"`, `"categories":[]`, `"nextPageToken":""`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}
