package server

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// TestRouter_SameAsMux sends each request to the router and to its mux alone: the shortcut must not serve what the mux would not.
func TestRouter_SameAsMux(t *testing.T) {
	mux := newRouter()
	errs := newRPCErrors()
	mount(mux, Services{Checkout: spillwayv1connect.UnimplementedCheckoutServiceHandler{}, Order: spillwayv1connect.UnimplementedOrderServiceHandler{}},
		errs, nil)
	mux.HandleFunc("/", errs.notFound)
	if _, ok := mux.procedures[placeProcedure]; !ok || len(mux.procedures) != 10 {
		t.Fatalf("the router has %d procedures; want the 10 of CheckoutService and OrderService", len(mux.procedures))
	}
	for _, target := range []string{
		placeProcedure, placeProcedure + "?connect=v1", placeProcedure + "/", "/" + placeProcedure, placeProcedure + "x", strings.ToLower(placeProcedure),
		"/spillway.v1.CheckoutService%2FPlaceOrder", "/spillway.v1.CheckoutService/%50laceOrder", "/spillway.v1.CheckoutService/./PlaceOrder",
		"/spillway.v1.OrderService/../spillway.v1.CheckoutService/PlaceOrder", "/spillway.v1.CheckoutService/", "/spillway.v1.CheckoutService",
		"/spillway.v1.CartService/GetCart", "/spillway.v1.PaymentService/Charge", "/", "*", "http://other.example" + placeProcedure,
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodOptions, http.MethodHead, http.MethodConnect} {
			t.Run(method+" "+target, func(t *testing.T) {
				fast, plain := httptest.NewRecorder(), httptest.NewRecorder()
				mux.ServeHTTP(fast, parseRequest(t, method, target))
				mux.ServeMux.ServeHTTP(plain, parseRequest(t, method, target))
				if fast.Code != plain.Code || fast.Body.String() != plain.Body.String() || !reflect.DeepEqual(fast.Header(), plain.Header()) {
					t.Errorf("router: %d %v %s\nmux: %d %v %s", fast.Code, fast.Header(), fast.Body, plain.Code, plain.Header(), plain.Body)
				}
			})
		}
	}
}

// parseRequest reads a request as a server does.
func parseRequest(t *testing.T, method, target string) *http.Request {
	t.Helper()
	text := method + " " + target + " HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return req
}
