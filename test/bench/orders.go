package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
)

const (
	// placeOrder is the path of the procedure that most rows measure.
	placeOrder = "/spillway.v1.CheckoutService/PlaceOrder"
	// paid marks a response with an accepted and charged order; no other field can contain this text.
	paid = `"ORDER_STATE_PAID"`
	// soldOutDetail marks an error that names what is sold out.
	soldOutDetail = `"spillway.v1.SoldOut"`
)

// oneLine returns the request for one unit of the SKU.
func oneLine(sku string) []string { return []string{cart([]string{sku}, true)} }

// cart returns the request for one unit of each SKU, with or without a card.
func cart(skus []string, card bool) string {
	lines := make([]string, len(skus))
	for i, sku := range skus {
		lines[i] = fmt.Sprintf(`{"sku":%q,"quantity":1}`, sku)
	}
	payment := ""
	if card {
		payment = `,"card":{"number":"4242424242424242","cvv":"123","expiryYear":2040,"expiryMonth":1}`
	}
	return `{"lines":[` + strings.Join(lines, ",") + `],"currencyCode":"EUR","email":"a@example.com",` +
		`"shippingAddress":{"name":"A","street":"S 1","city":"Berlin","postalCode":"10115","countryCode":"DE"}` + payment + `}`
}

// shoppers returns clients that place the orders by turns, each time as another customer.
func shoppers(addr string, tokens, bodies []string) func(i int) caller {
	return callers(addr, placeOrder, tokens, bodies, placed)
}

// callers returns clients that call the procedure. Their idempotency keys differ from those of other callers.
func callers(addr, path string, tokens, bodies []string, verdict func(int, []byte) string) func(i int) caller {
	run, next := rand.Text()[:8], new(atomic.Int64)
	return func(i int) caller {
		return &shopper{
			addr: addr, path: path, tokens: tokens, bodies: bodies, verdict: verdict,
			name: fmt.Sprintf("bench-%s-%d-", run, i), next: next,
		}
	}
}

// placed expects an order that is PAID.
func placed(status int, response []byte) string {
	switch {
	case status != 200:
		return errorCode(status, response)
	case !bytes.Contains(response, []byte(paid)):
		return codeNotPaid
	}
	return ""
}

// refusedSoldOut expects that the order is refused because the product is sold out.
func refusedSoldOut(status int, response []byte) string {
	if status != 200 && bytes.Contains(response, []byte(soldOutDetail)) {
		return ""
	}
	if code := placed(status, response); code != "" {
		return code
	}
	return codePlaced
}

// succeeded expects any successful response.
func succeeded(status int, response []byte) string {
	if status != 200 {
		return errorCode(status, response)
	}
	return ""
}
