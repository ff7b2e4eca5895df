package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"

	"github.com/golang-jwt/jwt/v5"
)

// asTheLibrary verifies a token with the library's validator.
func asTheLibrary(tokens *Tokens, token string) error {
	_, err := jwt.ParseWithClaims(token, &claims{}, func(*jwt.Token) (any, error) { return tokens.keys[0].key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(tokens.now))
	return err
}

// sameVerdict fails the test unless a token is accepted, refused as expired, or refused otherwise, as the library does.
func sameVerdict(t *testing.T, tokens *Tokens, token string) {
	t.Helper()
	_, got := tokens.parse(token)
	want := asTheLibrary(tokens, token)
	if (got == nil) != (want == nil) || got != nil && !errors.Is(got, ErrToken) {
		t.Errorf("%s: %v, the library: %v", token, got, want)
	}
	if expired := got != nil && strings.Contains(got.Error(), "expired"); expired != errors.Is(want, jwt.ErrTokenExpired) {
		t.Errorf("%s: %v, the library: %v", token, got, want)
	}
}

func claimsTokens(t testing.TB) (*Tokens, time.Time) {
	t.Helper()
	tokens, err := NewTokens([]byte(strings.Repeat("k", MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	tokens.now = func() time.Time { return now }
	return tokens, now
}

// TestVerify_AsTheLibrary takes every combination of times around the limits, issuers, methods and keys.
func TestVerify_AsTheLibrary(t *testing.T) {
	t.Parallel()
	tokens, now := claimsTokens(t)
	dates := []*jwt.NumericDate{nil}
	for _, d := range []time.Duration{-time.Hour, -leeway - time.Second, -leeway, 0, leeway, leeway + time.Second, time.Hour} {
		dates = append(dates, jwt.NewNumericDate(now.Add(d)))
	}
	for _, expires := range dates {
		for _, issued := range dates {
			for _, begins := range dates {
				for _, by := range []string{issuer, "", "other"} {
					c := claims{RegisteredClaims: jwt.RegisteredClaims{
						Subject: "c1", Issuer: by, ExpiresAt: expires, IssuedAt: issued, NotBefore: begins,
					}}
					token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(tokens.keys[0].key)
					if err != nil {
						t.Fatal(err)
					}
					sameVerdict(t, tokens, token)
				}
			}
		}
	}
}

// FuzzVerify_AsTheLibrary takes damaged tokens, and those of other methods and keys.
func FuzzVerify_AsTheLibrary(f *testing.F) {
	tokens, now := claimsTokens(f)
	c := claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "c1", Issuer: issuer, ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour))}}
	for _, s := range []struct {
		method jwt.SigningMethod
		key    any
	}{
		{jwt.SigningMethodHS256, tokens.keys[0].key},
		{jwt.SigningMethodHS512, tokens.keys[0].key},
		{jwt.SigningMethodHS256, []byte("another key")},
		{jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType},
	} {
		token, err := jwt.NewWithClaims(s.method, c).SignedString(s.key)
		if err != nil {
			f.Fatal(err)
		}
		header, rest, _ := strings.Cut(token, ".")
		for _, damaged := range []string{token, token + "=", token + ".", token[:len(token)-1], header, header + "..", rest, header + "." + rest[1:], ""} {
			f.Add(damaged)
		}
	}
	f.Fuzz(func(t *testing.T, token string) { sameVerdict(t, tokens, token) })
}

// TestTokens_BoutiqueCustomer checks that no token names a customer of Online Boutique's interface, also one that another program signed with the key.
func TestTokens_BoutiqueCustomer(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	if token, _, err := tk.Mint(Caller{Customer: order.BoutiquePrefix + "ada"}, time.Hour); !errors.Is(err, ErrToken) || token != "" {
		t.Errorf("minted %q, %v; want ErrToken", token, err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Subject: order.BoutiquePrefix + "ada", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}}).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tk.Verify(token); !errors.Is(err, ErrToken) {
		t.Errorf("verified %+v, %v; want ErrToken", c, err)
	}
}
