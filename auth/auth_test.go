package auth

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func tokens(t *testing.T, key string) *Tokens {
	t.Helper()
	tk, err := NewTokens([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

var key = strings.Repeat("k", MinKeyBytes)

func TestTokens_RoundTrip(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	token, _, err := tk.Mint(Caller{Customer: "c1", Roles: []Role{Operator}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tk.Verify(token)
	if err != nil || c.Customer != "c1" || !c.Has(Operator) || c.Has(Service) {
		t.Errorf("caller = %+v, %v", c, err)
	}
}

func TestTokens_Verify_Invalid(t *testing.T) {
	t.Parallel()
	tk := tokens(t, key)
	good, _, err := tk.Mint(Caller{Customer: "c1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	expired, _, _ := tk.Mint(Caller{Customer: "c1"}, -time.Hour)
	nobody, _, _ := tk.Mint(Caller{}, time.Hour)
	other, _, _ := tokens(t, strings.Repeat("x", MinKeyBytes)).Mint(Caller{Customer: "c1"}, time.Hour)
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": issuer, "sub": "c1", "exp": time.Now().Add(time.Hour).Unix()}).
		SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	eternal, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": issuer, "sub": "c1"}).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"expired": expired, "nobody": nobody, "another key": other, "alg none": none, "no expiry": eternal, "changed": good[:len(good)-2] + "xx",
		"empty": "", "garbage": "a.b.c", "too long": strings.Repeat("x", maxTokenBytes+1),
	} {
		if c, err := tk.Verify(token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %+v, %v; want ErrToken", name, c, err)
		}
	}
}

func TestNewTokens_ShortKey(t *testing.T) {
	t.Parallel()
	if _, err := NewTokens([]byte("short")); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}

func TestLoadOrCreateKey_Concurrent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = LoadOrCreateKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) || len(k) < MinKeyBytes {
			t.Errorf("keys differ or are short: %q, %q", k, keys[0])
		}
	}
}
