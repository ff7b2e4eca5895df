package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/order"
)

// signed is a token with the claims, and the key id unless that is empty, signed with the key.
func signed(t *testing.T, key, keyID string, c claims) string {
	t.Helper()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	if keyID != "" {
		unsigned.Header[keyIDHeader] = keyID
	}
	token, err := unsigned.SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func goodClaims() claims {
	return claims{RegisteredClaims: jwt.RegisteredClaims{Subject: "c1", Issuer: issuer, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}}
}

// TestVerify_Subjects: a subject that SQL, Redis or a terminal might take for another one is refused, although the shop signed it.
func TestVerify_Subjects(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	for _, subject := range []string{"victim ", " victim", "victim\x00", "a b", "\x1b[2J", "\u202eadmin", "ｖictim", "", strings.Repeat("x", 65)} {
		c := goodClaims()
		c.Subject = subject
		if caller, err := tk.Verify(signed(t, key, "", c)); !errors.Is(err, ErrToken) {
			t.Errorf("%q is %+v, %v; want ErrToken", subject, caller, err)
		}
		if token, _, err := tk.Mint(Caller{Customer: order.CustomerID(subject)}, time.Hour); err == nil {
			t.Errorf("a token for %q: %s", subject, token)
		}
	}
}

func TestVerify_Audience(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	for name, c := range map[string]struct {
		audience []string
		good     bool
	}{
		"none, as in older versions": {nil, true}, "ours": {[]string{audience}, true}, "others too": {[]string{"x", audience}, true}, "another": {[]string{"x"}, false},
	} {
		claims := goodClaims()
		claims.Audience = c.audience
		if _, err := tk.Verify(signed(t, key, "", claims)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokens_KeyRotation follows a key through its life: first it only verifies, then it signs, then it only verifies, then it is gone.
func TestTokens_KeyRotation(t *testing.T) {
	t.Parallel()
	before, after := []byte(key), []byte(strings.Repeat("n", MinKeyBytes))
	steps := make([]*Tokens, 0, 4)
	for _, keys := range [][][]byte{{before}, {before, after}, {after, before}, {after}} {
		tk, err := NewTokens(keys[0], keys[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, tk)
	}
	for minted, by := range steps {
		token, _, err := by.Mint(Caller{Customer: "c1"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for at, verifier := range steps {
			_, err := verifier.Verify(token)
			if neighbours := at-minted >= -1 && at-minted <= 1; neighbours && err != nil {
				t.Errorf("a token of step %d at step %d: %v", minted, at, err)
			}
			if gone := minted <= 1 && at == 3; gone && !errors.Is(err, ErrToken) {
				t.Errorf("a token of a removed key is taken: %v", err)
			}
		}
	}
	// Without an id, every key is tried; with one, only the key of that id.
	if _, err := steps[2].Verify(signed(t, key, "", goodClaims())); err != nil {
		t.Errorf("a token of an older version: %v", err)
	}
	for _, id := range []string{"unknown", steps[2].keys[0].id} {
		if _, err := steps[2].Verify(signed(t, key, id, goodClaims())); !errors.Is(err, ErrToken) {
			t.Errorf("a token with the key id %q, signed with another key: %v", id, err)
		}
	}
	if _, err := NewTokens(before, after, after, after, after, after); err == nil {
		t.Error("five further keys are taken")
	}
	if _, err := NewTokens(before, []byte("short")); err == nil {
		t.Error("a short further key is taken")
	}
}
