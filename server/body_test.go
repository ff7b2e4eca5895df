package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// notCalled fails every order.
var notCalled = fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	return nil, errNotCalled
}}

// TestBoundBody_OverEachProtocol sends too much, and too much once it is decompressed.
func TestBoundBody_OverEachProtocol(t *testing.T) {
	e := startServer(t, Services{Checkout: notCalled})
	large, bomb := placeOrder(), placeOrder()
	large.Email, bomb.Email = randomText(2*maxBodyBytes), strings.Repeat("x", 20*maxBodyBytes)
	for protocol, p := range protocols(h2cClient(t), e.client) {
		for name, c := range map[string]struct {
			req  *spillwayv1.PlaceOrderRequest
			opts []connect.ClientOption
		}{
			"plain": {large, nil}, "gzip": {large, []connect.ClientOption{connect.WithSendGzip()}}, "bomb": {bomb, []connect.ClientOption{connect.WithSendGzip()}},
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				client := spillwayv1connect.NewCheckoutServiceClient(p.client, e.url, append(append(c.opts, p.opts...), bearer(e.token(t, "c")))...)
				_, err := client.PlaceOrder(t.Context(), c.req)
				wantReason(t, err, connect.CodeInvalidArgument, "BODY_TOO_LARGE")
			})
		}
	}
}

// TestBoundBody_HTTPStatus: 413 when the Content-Length is too large, 400 when that is known only at the end.
func TestBoundBody_HTTPStatus(t *testing.T) {
	e := startServer(t, Services{Checkout: notCalled})
	body := orderBody("B 1", strings.Repeat("x", maxBodyBytes))
	if status, _, text := e.post(t, placeProcedure, e.token(t, "c"), body); status != http.StatusRequestEntityTooLarge {
		t.Errorf("with a Content-Length: %d %s", status, text)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+placeProcedure, io.NopCloser(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if status, _, text := e.do(t, req); status != http.StatusBadRequest || !strings.Contains(text, "BODY_TOO_LARGE") {
		t.Errorf("in chunks: %d %s", status, text)
	}
}

// TestBoundBody_LargestBodyIsRead: the bound itself is allowed, also once it is decompressed.
func TestBoundBody_LargestBodyIsRead(t *testing.T) {
	e := startServer(t, allServices(t))
	body := "{" + strings.Repeat(" ", maxBodyBytes-2) + "}"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(body)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	procedure := spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure
	if status, _, text := e.post(t, procedure, "", body); status != http.StatusOK {
		t.Errorf("plain: %d %s", status, text)
	}
	if status, _, text := e.post(t, procedure, "", zipped.String(), "Content-Encoding", "gzip"); status != http.StatusOK {
		t.Errorf("gzip: %d %s", status, text)
	}
}

// randomText does not compress.
func randomText(n int) string {
	out, state := make([]byte, n), uint32(1)
	for i := range out {
		state = state*1664525 + 1013904223
		out[i] = '!' + byte(state>>24)%90
	}
	return string(out)
}

// wantReason checks the code and the reason of a client's error.
func wantReason(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	var ce *connect.Error
	if !errors.As(err, &ce) || ce.Code() != code || detailOf[*errdetails.ErrorInfo](ce).GetReason() != reason {
		t.Errorf("error = %v; want %v with reason %s", err, code, reason)
	}
}
