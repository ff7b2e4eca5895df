package server

import (
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

func TestStartGuestSession_NewCustomerEachTime(t *testing.T) {
	e := startServer(t, Services{})
	session := Session{Tokens: e.tokens}
	e = startServer(t, Services{Session: session})
	client := spillwayv1connect.NewSessionServiceClient(e.client, e.url)
	seen := map[string]bool{}
	for range 3 {
		resp, err := client.StartGuestSession(t.Context(), &spillwayv1.StartGuestSessionRequest{})
		if err != nil {
			t.Fatal(err)
		}
		caller, err := session.Tokens.Verify(resp.GetToken())
		if err != nil || string(caller.Customer) != resp.GetCustomerId() || seen[resp.GetCustomerId()] || caller.Has(auth.Roles()...) {
			t.Errorf("guest %q: %+v, %v; want a fresh customer without roles", resp.GetCustomerId(), caller, err)
		}
		seen[resp.GetCustomerId()] = true
		if left := time.Until(resp.GetExpireTime().AsTime()); left > auth.GuestTTL || left < auth.GuestTTL-time.Minute {
			t.Errorf("the token is good for %s; want %s", left, auth.GuestTTL)
		}
	}
}
