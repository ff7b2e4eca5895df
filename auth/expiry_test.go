package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	tokens, err := auth.NewTokens([]byte(strings.Repeat("k", auth.MinKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := tokens.Mint(auth.Caller{Customer: "mailer", Roles: []auth.Role{auth.Service}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := auth.Expiry(token); !ok || !got.Equal(expires) {
		t.Errorf("%s, %t; want %s", got, ok, expires)
	}
	for _, text := range []string{"", "secret", "a.b.c", "..", "e30.e30.e30", strings.ReplaceAll(token, ".", "")} {
		if got, ok := auth.Expiry(text); ok {
			t.Errorf("%q expires at %s", text, got)
		}
	}
}
