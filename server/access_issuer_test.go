package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/auth/oidc"
	"github.com/spillway/spillway/auth/oidc/oidctest"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// issuerTokens are tokens that trust an issuer whose keys were not read yet.
func issuerTokens(t *testing.T) (*auth.Tokens, *oidctest.Issuer) {
	t.Helper()
	issuer := oidctest.New(t)
	issuer.Add("k1", "ES256")
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err == nil {
		err = tokens.Trust(auth.Outside{Issuer: issuer.URL, Audience: oidctest.Audience, Name: "main", Keys: oidc.NewSource(issuer.URL, discardLog)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return tokens, issuer
}

// unknownIssuerKey sends a token of an issuer whose keys are not known.
func unknownIssuerKey(t *testing.T, s *refusingShop) string {
	tokens, issuer := issuerTokens(t)
	c := s.serve(t, nil, func(cfg *Config) { cfg.Tokens = tokens })
	_, _, body := c.e.post(t, spillwayv1connect.CartServiceGetCartProcedure, issuer.Token("k1", "ES256", "ada"), "{}")
	return body
}

// TestAccess_UnknownIssuerKey checks that a client is told when to send the request again, and that a call without a token is served meanwhile.
func TestAccess_UnknownIssuerKey(t *testing.T) {
	tokens, issuer := issuerTokens(t)
	e := startServer(t, Services{Session: Session{Tokens: tokens}}, func(cfg *Config) { cfg.Tokens = tokens })
	status, header, body := e.post(t, spillwayv1connect.SessionServiceStartGuestSessionProcedure, issuer.Token("k1", "ES256", "ada"), "{}")
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q, %s; want 503 and 1", status, header.Get("Retry-After"), body)
	}
	if status, _, body := e.post(t, spillwayv1connect.SessionServiceStartGuestSessionProcedure, "", "{}"); status != http.StatusOK {
		t.Errorf("a guest: status %d, %s", status, body)
	}
}

// TestInternalHandler_UnknownIssuerKey: the internal port tells such a caller to come again, too, although the token will give no role.
func TestInternalHandler_UnknownIssuerKey(t *testing.T) {
	tokens, issuer := issuerTokens(t)
	h := NewInternalHandler(InternalConfig{Tokens: tokens, Log: discardLog}, InternalServices{Payment: spillwayv1connect.UnimplementedPaymentServiceHandler{}})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, spillwayv1connect.PaymentServiceGetChargeProcedure, strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+issuer.Token("k1", "ES256", "ada"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "ISSUER_UNAVAILABLE") {
		t.Errorf("status %d, %s; want 503", w.Code, w.Body)
	}
}
