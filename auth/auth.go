// Package auth says who calls: a signed JWT in the Authorization header names the customer and their roles. No request field
// and no forwarded header is ever believed (I14).
package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/order"
)

// Role allows what a customer may not do.
type Role string

const (
	// Operator changes the catalogue and reads every order.
	Operator Role = "operator"
	// Service is for the shop's own processes. No procedure of the public port needs it.
	Service Role = "service"
)

// Roles lists all roles.
func Roles() []Role { return []Role{Operator, Service} }

// Caller is who calls.
type Caller struct {
	Customer order.CustomerID
	Roles    []Role
}

// Has says whether the caller has one of the roles.
func (c Caller) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(c.Roles, r) })
}

type contextKey struct{}

// With puts the caller into the context.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From takes the caller out of the context.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(contextKey{}).(Caller)
	return c, ok
}

const (
	// KeyMin is the length of the signing key, in bytes: that of the hash, so that guessing it is as hard as breaking the hash.
	KeyMin = 32
	// GuestTTL is how long a guest's token is good: a guest comes back within the month or is forgotten.
	GuestTTL = 30 * 24 * time.Hour
	// leeway is by how much the clocks of two machines may differ.
	leeway = 30 * time.Second
	issuer = "spillway"
	// tokenMax bounds a token, in bytes; ours have about 250.
	tokenMax = 4096
)

// ErrToken means that a token is not good. The text says why and is safe to show.
var ErrToken = errors.New("the bearer token is not valid")

// Tokens mints and verifies tokens with one key.
type Tokens struct {
	key []byte
	now func() time.Time
}

// NewTokens takes the signing key.
func NewTokens(key []byte) (*Tokens, error) {
	if len(key) < KeyMin {
		return nil, fmt.Errorf("the auth key has %d bytes; it needs at least %d: make one with `openssl rand -hex 32`", len(key), KeyMin)
	}
	return &Tokens{key: key, now: time.Now}, nil
}

type claims struct {
	Roles []Role `json:"roles,omitempty"`
	jwt.RegisteredClaims
}

// Mint signs a token for the caller that is good for ttl, and says when it ends.
func (t *Tokens) Mint(c Caller, ttl time.Duration) (token string, expires time.Time, err error) {
	now := t.now()
	expires = now.Add(ttl).Truncate(time.Second).UTC()
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{Roles: c.Roles, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Subject: string(c.Customer), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}}).SignedString(t.key)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token: %w", err)
	}
	return token, expires, nil
}

// Verify reads a token. Only HS256 is accepted, so that no token chooses its own check.
func (t *Tokens) Verify(token string) (Caller, error) {
	if len(token) > tokenMax {
		return Caller{}, fmt.Errorf("%w: it is too long", ErrToken)
	}
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(t.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Caller{}, fmt.Errorf("%w: it has expired; start a new session", ErrToken)
	case err != nil:
		return Caller{}, fmt.Errorf("%w: it was not signed by this shop", ErrToken)
	case c.Subject == "":
		return Caller{}, fmt.Errorf("%w: it names no customer", ErrToken)
	}
	return Caller{Customer: order.CustomerID(c.Subject), Roles: c.Roles}, nil
}

// NewGuest makes a fresh customer with 130 random bits in the name.
func NewGuest() order.CustomerID { return order.CustomerID("guest_" + strings.ToLower(rand.Text())) }

// LoadOrCreateKey reads the key file, or makes one that only this user can read. Of two processes that start at once, both
// end with the same key.
func LoadOrCreateKey(path string) ([]byte, error) {
	if key, err := os.ReadFile(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the dev key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("make a dev key: %w", err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // It is linked under its name, or worth nothing.
	_, werr := tmp.WriteString(rand.Text() + rand.Text())
	if err := errors.Join(werr, tmp.Close()); err != nil {
		return nil, fmt.Errorf("write the dev key: %w", err)
	}
	// Linking fails when the file is there: then the other process' key counts.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("write the dev key: %w", err)
	}
	return os.ReadFile(path)
}
