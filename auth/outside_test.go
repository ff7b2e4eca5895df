package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/auth/oidc"
	"github.com/spillway/spillway/auth/oidc/oidctest"
	"github.com/spillway/spillway/order"
)

// stubKeys are keys that a test reads from the issuer itself.
type stubKeys struct {
	set    oidc.Set
	known  bool
	wanted int
}

func (s *stubKeys) Set() (oidc.Set, bool) { return s.set, s.known }

func (s *stubKeys) Want() time.Duration { s.wanted++; return time.Second }

func (s *stubKeys) read(t testing.TB, issuer *oidctest.Issuer) {
	t.Helper()
	keys, err := oidc.Fetch(t.Context(), issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.set, s.known = oidc.Set{Keys: keys, Read: time.Now(), Generation: s.set.Generation + 1}, true
}

// outside returns tokens that trust an issuer with a key of each algorithm, "k-RS256" and so on.
func outside(t testing.TB) (*Tokens, *oidctest.Issuer, *stubKeys) {
	t.Helper()
	issuer, keys := oidctest.New(t), &stubKeys{}
	for _, a := range outsideAlgorithms {
		issuer.Add("k-"+a, a)
	}
	keys.read(t, issuer)
	tk, err := NewTokens([]byte(key))
	if err == nil {
		err = tk.Trust(Outside{Issuer: issuer.URL, Audience: oidctest.Audience, Name: "main", Keys: keys})
	}
	if err != nil {
		t.Fatal(err)
	}
	return tk, issuer, keys
}

func TestOutside_Accepted(t *testing.T) {
	t.Parallel()
	tk, issuer, _ := outside(t)
	for _, a := range outsideAlgorithms {
		for range 2 { // The second time from the cache.
			c, err := tk.Verify(issuer.Token("k-"+a, a, "248289761001"))
			if err != nil || c.Customer != "oidc:main:248289761001" || len(c.Roles) != 0 {
				t.Errorf("%s: %+v, %v", a, c, err)
			}
		}
	}
	claims := issuer.Claims("ada")
	claims["aud"] = []string{"account", oidctest.Audience}
	for _, typ := range []any{nil, "JWT", "at+jwt", "application/at+JWT"} {
		if c, err := tk.Verify(issuer.Sign("k-ES256", "ES256", claims, map[string]any{"typ": typ})); err != nil {
			t.Errorf("typ %v: %+v, %v", typ, c, err)
		}
	}
	if c, err := tk.Verify(mint(t, tk, Caller{Customer: "c1", Roles: []Role{Operator}})); err != nil || c.Customer != "c1" || !c.Has(Operator) {
		t.Errorf("our own token: %+v, %v", c, err)
	}
}

// TestOutside_GivesNoRole checks that whatever an outside issuer states, its callers are customers.
func TestOutside_GivesNoRole(t *testing.T) {
	t.Parallel()
	tk, issuer, _ := outside(t)
	claims := issuer.Claims("ada")
	claims["roles"] = []string{"operator", "service"}
	claims["realm_access"] = map[string]any{"roles": []string{"operator"}}
	if c, err := tk.Verify(issuer.Sign("k-EdDSA", "EdDSA", claims, nil)); err != nil || len(c.Roles) != 0 {
		t.Errorf("%+v, %v; want a customer without roles", c, err)
	}
}

func TestOutside_Refused(t *testing.T) {
	t.Parallel()
	tk, issuer, keys := outside(t)
	now := time.Now()
	for name, change := range map[string]jwt.MapClaims{
		"wrong iss":            {"iss": "https://id.example.com"},
		"iss with a slash":     {"iss": issuer.URL + "/"},
		"our iss":              {"iss": "spillway"},
		"wrong aud":            {"aud": "another program"},
		"no aud":               {"aud": nil},
		"expired":              {"exp": now.Add(-leeway - time.Second).Unix()},
		"no exp":               {"exp": nil},
		"no iat":               {"iat": nil},
		"issued in the future": {"iat": now.Add(leeway + time.Minute).Unix()},
		"not valid yet":        {"nbf": now.Add(leeway + time.Minute).Unix()},
		"no sub":               {"sub": nil},
		"an empty sub":         {"sub": ""},
		"a sub that is none":   {"sub": 7},
		"a sub without end":    {"sub": strings.Repeat("x", maxClaimBytes+1)},
		"a logout token":       {"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}},
	} {
		claims := issuer.Claims("ada")
		for k, v := range change {
			claims[k] = v
			if v == nil {
				delete(claims, k)
			}
		}
		if c, err := tk.Verify(issuer.Sign("k-ES256", "ES256", claims, nil)); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v; want ErrToken", name, c, err)
		}
	}
	for name, header := range map[string]map[string]any{
		"a logout token": {"typ": "logout+jwt"}, "a header that must be understood": {"crit": []string{"b64"}, "b64": false},
	} {
		if c, err := tk.Verify(issuer.Sign("k-ES256", "ES256", issuer.Claims("ada"), header)); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v; want ErrToken", name, c, err)
		}
	}
	if keys.wanted != 0 {
		t.Errorf("the keys were wanted %d times because of tokens that no key makes good", keys.wanted)
	}
}

// TestOutside_AlgorithmConfusion signs with public keys as secrets, with no key, with another key's id, and puts keys into the header.
func TestOutside_AlgorithmConfusion(t *testing.T) {
	t.Parallel()
	tk, issuer, _ := outside(t)
	der, err := x509.MarshalPKIXPublicKey(issuer.Public("k-RS256"))
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"der": der, "pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "secret of the set": []byte("secret"), "empty": {},
	} {
		for _, id := range []string{"k-RS256", "secret", ""} {
			forged := unsigned(t, issuer, map[string]any{"alg": "HS256", "kid": id})
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(forged))
			forged += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			if c, err := tk.Verify(forged); !errors.Is(err, ErrToken) {
				t.Errorf("HS256 with %s, kid %q: %+v, %v; want ErrToken", name, id, c, err)
			}
		}
	}
	good := issuer.Token("k-RS256", "RS256", "ada")
	other := oidctest.New(t)
	other.Add("k-RS256", "RS256")
	other.URL = issuer.URL
	for name, forged := range map[string]string{
		"none":                    unsigned(t, issuer, map[string]any{"alg": "none", "kid": "k-RS256"}) + ".",
		"None":                    unsigned(t, issuer, map[string]any{"alg": "None"}) + ".",
		"an algorithm of the key": issuer.Sign("k-RS256", "RS512", issuer.Claims("ada"), nil),
		"another key's id":        issuer.Sign("k-RS256", "RS256", issuer.Claims("ada"), map[string]any{"kid": "k-PS256"}),
		"a key of another kind":   issuer.Sign("k-RS256", "RS256", issuer.Claims("ada"), map[string]any{"kid": "k-ES256"}),
		"no id, of two keys":      issuer.Sign("k-RS256", "RS256", issuer.Claims("ada"), map[string]any{"kid": nil}),
		"a key of its own":        other.Token("k-RS256", "RS256", "ada"),
		"another payload":         good[:strings.IndexByte(good, '.')+1] + strings.Split(issuer.Token("k-RS256", "RS256", "eve"), ".")[1] + good[strings.LastIndexByte(good, '.'):],
		"no signature":            good[:strings.LastIndexByte(good, '.')+1],
	} {
		if c, err := tk.Verify(forged); err == nil {
			t.Errorf("%s: %+v is accepted", name, c)
		}
	}
}

// unsigned returns header and payload of a token.
func unsigned(t *testing.T, issuer *oidctest.Issuer, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodNone, issuer.Claims("ada"))
	token.Header = header
	s, err := token.SigningString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOutside_UnknownKey checks that a key that appears later is asked for, that one from before is not, and that a withdrawn one ends cached tokens.
func TestOutside_UnknownKey(t *testing.T) {
	t.Parallel()
	tk, issuer, keys := outside(t)
	issuer.Add("next", "ES256")
	token := issuer.Token("next", "ES256", "ada")
	var retry *order.RetryError
	if c, err := tk.Verify(token); !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) || errors.Is(err, ErrToken) || keys.wanted != 1 {
		t.Fatalf("%+v, %v, wanted %d times; want ErrUnavailable with a retry hint, once", c, err, keys.wanted)
	}
	keys.read(t, issuer)
	if _, err := tk.Verify(token); err != nil {
		t.Fatal(err)
	}
	issuer.Withdraw("next")
	keys.read(t, issuer)
	keys.set.Read = keys.set.Read.Add(time.Hour) // Long after the token was issued.
	if c, err := tk.Verify(token); !errors.Is(err, ErrToken) || keys.wanted != 1 {
		t.Errorf("by a withdrawn key: %+v, %v, wanted %d times; want ErrToken, without another read", c, err, keys.wanted)
	}
}

// TestOutside_IssuerAway checks that without keys the issuer's tokens wait, and our own are good.
func TestOutside_IssuerAway(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	issuer.Add("k1", "RS256")
	issuer.Answer(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true })
	tk := tokens(t, key)
	source := oidc.NewSource(issuer.URL, slog.New(slog.DiscardHandler))
	if err := tk.Trust(Outside{Issuer: issuer.URL, Audience: oidctest.Audience, Name: "main", Keys: source}); err != nil {
		t.Fatal(err)
	}
	if c, err := tk.Verify(issuer.Token("k1", "RS256", "ada")); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("%+v, %v; want ErrUnavailable", c, err)
	}
	if c, err := tk.Verify(mint(t, tk, Caller{Customer: "c1"})); err != nil || c.Customer != "c1" {
		t.Errorf("our own: %+v, %v", c, err)
	}
	forged := issuer.Claims("ada")
	forged["exp"] = time.Now().Add(-time.Hour).Unix()
	if _, err := tk.Verify(issuer.Sign("k1", "RS256", forged, nil)); !errors.Is(err, ErrToken) {
		t.Errorf("an expired one: %v; want ErrToken, not to be sent again", err)
	}
}

// TestOutside_Customers checks that no two claims make one customer, and that none is one of our own tokens.
func TestOutside_Customers(t *testing.T) {
	t.Parallel()
	tk, issuer, _ := outside(t)
	seen := make(map[order.CustomerID]string)
	hashed := "~" + base64.RawURLEncoding.EncodeToString(make([]byte, sha256.Size))
	for _, sub := range []string{
		"a", "A", "a ", " a", "ä", "a\x00", "auth0|5f7c8ec7c33c6c004bbafe82", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", strings.Repeat("x", 54),
		strings.Repeat("x", 55), strings.Repeat("x", 255), "~", hashed, "guest_1", "boutique:ada", "oidc:main:a",
	} {
		c, err := tk.Verify(issuer.Token("k-EdDSA", "EdDSA", sub))
		if err != nil || !c.Customer.Valid() || !strings.HasPrefix(string(c.Customer), "oidc:main:") || c.Customer.Guest() {
			t.Errorf("%q: %+v, %v", sub, c, err)
		}
		if other, there := seen[c.Customer]; there {
			t.Errorf("%q and %q are both %s", sub, other, c.Customer)
		}
		seen[c.Customer] = sub
		if token, _, err := tk.Mint(c, time.Hour); !errors.Is(err, ErrToken) {
			t.Errorf("minted %q, %v for %s", token, err, c.Customer)
		}
	}
}

func TestOutside_AnotherClaim(t *testing.T) {
	t.Parallel()
	issuer, keys := oidctest.New(t), &stubKeys{}
	issuer.Add("k1", "EdDSA")
	keys.read(t, issuer)
	tk := tokens(t, key)
	if err := tk.Trust(Outside{Issuer: issuer.URL, Audience: oidctest.Audience, Name: "b2b", Claim: "customer_number", Keys: keys}); err != nil {
		t.Fatal(err)
	}
	claims := issuer.Claims("ada")
	if c, err := tk.Verify(issuer.Sign("k1", "EdDSA", claims, nil)); !errors.Is(err, ErrToken) {
		t.Errorf("without the claim: %+v, %v; want ErrToken", c, err)
	}
	claims["customer_number"] = "K-0815"
	if c, err := tk.Verify(issuer.Sign("k1", "EdDSA", claims, nil)); err != nil || c.Customer != "oidc:b2b:K-0815" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestOutside_Check(t *testing.T) {
	t.Parallel()
	good := Outside{Issuer: "https://id.example.com", Audience: "spillway", Name: "main"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for flag, o := range map[string]Outside{
		"--oidc-issuer":   {Issuer: "http://id.example.com", Audience: "spillway", Name: "main"},
		"--oidc-audience": {Issuer: good.Issuer, Name: "main"},
		"--oidc-name":     {Issuer: good.Issuer, Audience: "spillway", Name: "Main:"},
	} {
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("%+v: %v; want an error of %s", o, err, flag)
		}
	}
}
