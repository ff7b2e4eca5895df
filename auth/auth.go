// Package auth identifies callers: a signed JWT in the Authorization header contains the customer id and the roles.
// Request fields and forwarded headers are never trusted (I14).
package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
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

// Role grants permissions that a customer does not have.
type Role string

const (
	// Operator may change the catalogue and read every order.
	Operator Role = "operator"
	// OperatorRead may read all that an operator may read, and change nothing.
	OperatorRead Role = "operator:read"
	// Service is the role of the shop's own processes. No procedure of the public port requires it.
	Service Role = "service"
)

// Roles returns all roles.
func Roles() []Role { return []Role{Operator, OperatorRead, Service} }

// Caller is the identity of a caller.
type Caller struct {
	Customer order.CustomerID
	Roles    []Role
}

// Has reports whether the caller has at least one of the roles.
func (c Caller) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(c.Roles, r) })
}

// ReadsAll reports whether the caller may read what belongs to others.
func (c Caller) ReadsAll() bool { return c.Has(Operator, OperatorRead) }

// CustomerHeader names the customer of a call between processes of the shop, for the services that serve the customer of a token. It counts on the internal port
// only, where the caller's token has the role Service.
const CustomerHeader = "Spillway-Customer"

type contextKey struct{}

// With returns a context with the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller of the context, if there is one.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(contextKey{}).(Caller)
	return c, ok
}

const (
	// MinKeyBytes is the minimum length of the signing key: the length of the hash, so that guessing the key is as hard
	// as breaking the hash.
	MinKeyBytes = 32
	// GuestTTL is the lifetime of a guest's token. A guest who does not return within it loses the session.
	GuestTTL = 30 * 24 * time.Hour
	// leeway is the maximum difference between the clocks of two machines.
	leeway = 30 * time.Second
	issuer = "spillway"
	// audience is for whom tokens are: a token of the same key that names only others is refused. Tokens of older versions name none.
	audience = "spillway"
	// maxVerifyKeys bounds the keys beside the signing one: a rotation needs one.
	maxVerifyKeys = 4
	// keyIDBytes is the length of a key's id before it is encoded: enough to tell a few keys apart.
	keyIDBytes = 6
	// maxTokenBytes is the maximum length of a token; ours have about 250 bytes, those of outside issuers up to some thousand.
	maxTokenBytes = 8192
)

// ErrToken means that a token is not valid. Its text contains the reason and is safe to show to the caller.
var ErrToken = errors.New("the bearer token is not valid")

// Tokens mints tokens with one key, and verifies those of this and of further keys. It is safe for concurrent use.
type Tokens struct {
	keys []signingKey // the first one signs
	now  func() time.Time
	// cache holds the callers of the tokens that were verified with the keys.
	cache tokenCache
	// outside is whose tokens are accepted too; nil: nobody's.
	outside *Outside
}

// signingKey is a key with the id by which the header of a token names it.
type signingKey struct {
	id  string
	key []byte
}

// NewTokens returns Tokens with the signing key, and with further keys whose tokens are verified as well. It fails for a key shorter than
// MinKeyBytes, and for more than four further keys.
func NewTokens(key []byte, verify ...[]byte) (*Tokens, error) {
	if len(verify) > maxVerifyKeys {
		return nil, fmt.Errorf("%d further auth keys; there may be %d", len(verify), maxVerifyKeys)
	}
	t := &Tokens{now: time.Now}
	for _, k := range append([][]byte{key}, verify...) {
		if len(k) < MinKeyBytes {
			return nil, fmt.Errorf("the auth key has %d bytes; it needs at least %d: make one with `openssl rand -hex 32`", len(k), MinKeyBytes)
		}
		t.keys = append(t.keys, signingKey{id: keyID(k), key: k})
	}
	return t, nil
}

// keyID derives the id of a key, the same in every process.
func keyID(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("key id"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:keyIDBytes])
}

// Mint returns a signed token for the caller that is valid for ttl, and the time of its expiry. It fails for a customer id that is not valid, with
// ErrToken for one that begins with order.BoutiquePrefix or order.OIDCPrefix.
func (t *Tokens) Mint(c Caller, ttl time.Duration) (token string, expires time.Time, err error) {
	if reserved(c.Customer) {
		return "", time.Time{}, errReserved
	}
	if !c.Customer.Valid() {
		return "", time.Time{}, fmt.Errorf("customer %q: must have 1 to %d visible ASCII characters", c.Customer, order.MaxCustomerID)
	}
	now := t.now()
	expires = now.Add(ttl).Truncate(time.Second).UTC()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{Roles: c.Roles, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: issuer, Subject: string(c.Customer), Audience: jwt.ClaimStrings{audience}, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}})
	unsigned.Header[keyIDHeader] = t.keys[0].id
	if token, err = unsigned.SignedString(t.keys[0].key); err != nil {
		return "", time.Time{}, fmt.Errorf("sign a token: %w", err)
	}
	return token, expires, nil
}

// Verify returns the caller of a token, or ErrToken. Of our own tokens it accepts HS256 only, so that a token cannot choose the
// algorithm; those of an outside issuer never have it. For these it may return order.ErrUnavailable with a retry hint instead. It parses a token and checks its signature once, and caches the caller until the token expires or the cache is full; the
// expiry is checked at every call. The caller's Roles are shared: they must not be changed.
func (t *Tokens) Verify(token string) (Caller, error) {
	if len(token) > maxTokenBytes {
		return Caller{}, fmt.Errorf("%w: it is too long", ErrToken)
	}
	hash := hashOf(token)
	if v, ok := t.cache.get(hash); ok && t.now().Before(v.expires.Add(leeway)) && t.current(v) {
		return v.caller, nil
	}
	v, err := t.parse(token)
	if err != nil {
		return Caller{}, err
	}
	t.cache.put(hash, v)
	return v.caller, nil
}

// reserved reports whether none of our own tokens can name the customer.
func reserved(customer order.CustomerID) bool {
	return strings.HasPrefix(string(customer), order.BoutiquePrefix) || strings.HasPrefix(string(customer), order.OIDCPrefix)
}

// errReserved is the ErrToken of a reserved customer.
var errReserved = fmt.Errorf("%w: customers that begin with %s or %s have none of this shop", ErrToken, order.BoutiquePrefix, order.OIDCPrefix)

// NewGuest returns a new customer id with 130 random bits.
func NewGuest() order.CustomerID {
	return order.CustomerID(order.GuestPrefix + strings.ToLower(rand.Text()))
}

// LoadOrCreateKey reads the key file, or creates one that only this user can read. Two processes that start
// concurrently end with the same key.
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
	defer os.Remove(tmp.Name()) //nolint:errcheck // It is linked under its final name, or not needed.
	_, werr := tmp.WriteString(rand.Text() + rand.Text())
	if err := errors.Join(werr, tmp.Close()); err != nil {
		return nil, fmt.Errorf("write the dev key: %w", err)
	}
	// Linking fails when the file exists: then the key of the other process is used.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("write the dev key: %w", err)
	}
	return os.ReadFile(path)
}
