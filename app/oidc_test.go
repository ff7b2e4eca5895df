package app_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/auth/oidc/oidctest"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// withIssuer is the configuration of a shop whose customers have tokens of the issuer.
func withIssuer(t *testing.T, issuer *oidctest.Issuer) app.Config {
	t.Helper()
	cfg := embedded(t)
	cfg.OIDC = app.OIDCConfig{Issuer: issuer.URL, Audience: oidctest.Audience, Name: app.DefaultOIDCName}
	return cfg
}

// TestApp_OutsideIssuer starts a shop without its issuer, lets a customer of the issuer in when it comes, and keeps the customer when it goes again.
func TestApp_OutsideIssuer(t *testing.T) {
	issuer := oidctest.New(t)
	issuer.Add("k1", "RS256")
	outage := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	issuer.Answer(outage)
	a, stop := start(t, withIssuer(t, issuer), slog.New(slog.DiscardHandler))

	placeOrder(t, a.URL()) // A guest of the shop.
	orders := spillwayv1connect.NewOrderServiceClient(http.DefaultClient, a.URL())
	list := func(customer string) error {
		_, err := orders.ListOrders(authorized(t.Context(), issuer.Token("k1", "RS256", customer)), &spillwayv1.ListOrdersRequest{})
		return err
	}
	if err := list("ada"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Fatalf("without the issuer's keys: %v; want unavailable", err)
	}
	issuer.Answer(nil)
	for deadline := time.Now().Add(testTimeout); list("ada") != nil; <-time.After(testInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("with the issuer: %v", list("ada"))
		}
	}
	issuer.Answer(outage)
	if err := list("eve"); err != nil {
		t.Errorf("in an outage: %v", err)
	}
	_, err := orders.ListOrders(authorized(t.Context(), issuer.Token("k1", "RS256", "ada")), &spillwayv1.ListOrdersRequest{AllCustomers: true})
	if connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("the orders of all customers: %v; want permission_denied", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestDiagnose_OutsideIssuer checks that the doctor asks the issuer.
func TestDiagnose_OutsideIssuer(t *testing.T) {
	issuer := oidctest.New(t)
	cfg := withIssuer(t, issuer)
	found := func() string {
		r, err := app.Diagnose(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range r.Checks {
			if l.Name == "customers.issuer" {
				return string(l.Status)
			}
		}
		return "none"
	}
	if got := found(); got != "fail" {
		t.Errorf("an issuer without keys: %s; want fail", got)
	}
	issuer.Add("k1", "ES256")
	if got := found(); got != "ok" {
		t.Errorf("an issuer with a key: %s; want ok", got)
	}
	cfg.OIDC.Issuer = ""
	cfg.OIDC.Audience = ""
	if got := found(); got != "skipped" {
		t.Errorf("without an issuer: %s; want skipped", got)
	}
}
