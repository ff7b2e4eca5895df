// Package oidctest is an OpenID Connect issuer for tests: a real HTTP server with keys that rotate, and with the faults of issuers.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Audience is the one of the tokens that Claims are for.
const Audience = "spillway"

// Issuer is an issuer at a loopback address.
type Issuer struct {
	// URL is the issuer's name.
	URL string
	// Requests counts what was asked of it.
	Requests atomic.Int64

	tb     testing.TB
	mu     sync.Mutex
	keys   map[string]crypto.Signer
	order  []string
	answer func(w http.ResponseWriter, r *http.Request) bool
	name   string
}

// New starts an issuer without keys, which ends with the test.
func New(tb testing.TB) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, keys: make(map[string]crypto.Signer)}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	tb.Cleanup(server.Close)
	i.URL, i.name = server.URL, server.URL
	return i
}

// Name has the discovery document name another issuer.
func (i *Issuer) Name(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.name = name
}

// Answer has f respond instead, where it returns true; nil ends that.
func (i *Issuer) Answer(f func(w http.ResponseWriter, r *http.Request) bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

// Add publishes a new key for the algorithm, "RS256", "PS256", "ES256" or "EdDSA", by the id.
func (i *Issuer) Add(id, algorithm string) {
	i.tb.Helper()
	key := newKey(i.tb, algorithm)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id] = key
	i.order = append(i.order, id)
}

// Withdraw publishes the key no more. It can still sign.
func (i *Issuer) Withdraw(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for at, name := range i.order {
		if name == id {
			i.order = append(i.order[:at:at], i.order[at+1:]...)
		}
	}
}

func newKey(tb testing.TB, algorithm string) (key crypto.Signer) {
	tb.Helper()
	var err error
	switch algorithm {
	case "RS256", "PS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		tb.Fatalf("there is no algorithm %q", algorithm)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Public returns the public key.
func (i *Issuer) Public(id string) crypto.PublicKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[id].Public()
}

// Claims returns those of a good token of the customer, with an hour to live.
func (i *Issuer) Claims(customer string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{"iss": i.URL, "aud": Audience, "sub": customer, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

// Token returns a good token of the customer by the key.
func (i *Issuer) Token(id, algorithm, customer string) string {
	i.tb.Helper()
	return i.Sign(id, algorithm, i.Claims(customer), nil)
}

// Sign signs claims with the key. header is added to the token's.
func (i *Issuer) Sign(id, algorithm string, claims jwt.Claims, header map[string]any) string {
	i.tb.Helper()
	i.mu.Lock()
	key := i.keys[id]
	i.mu.Unlock()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	token.Header["kid"] = id
	for name, value := range header {
		token.Header[name] = value
		if value == nil {
			delete(token.Header, name)
		}
	}
	signed, err := token.SignedString(key)
	if err != nil {
		i.tb.Fatal(err)
	}
	return signed
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.Requests.Add(1)
	i.mu.Lock()
	answer, name := i.answer, i.name
	i.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		write(w, map[string]any{"issuer": name, "jwks_uri": i.URL + "/keys"})
	case "/keys":
		write(w, map[string]any{"keys": i.published()})
	default:
		http.NotFound(w, r)
	}
}

// published is the keys as JWKs, between those that a verifier must leave out.
func (i *Issuer) published() []any {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := []any{
		map[string]any{"kty": "future", "kid": "from another time"},
		map[string]any{"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
	}
	for _, id := range i.order {
		public := i.keys[id].Public()
		options := jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id, USE: jwkset.UseSig}}
		jwk, err := jwkset.NewJWKFromKey(public, options)
		if err != nil {
			i.tb.Error(err)
			continue
		}
		out = append(out, jwk.Marshal())
	}
	return out
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // The client may be gone.
}
