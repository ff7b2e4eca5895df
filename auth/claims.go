package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/order"
)

// claims are what a token states.
type claims struct {
	Roles []Role `json:"roles,omitempty"`
	jwt.RegisteredClaims
}

// parse checks the signature and the claims of a token.
func (t *Tokens) parse(token string) (verifiedToken, error) {
	c, err := t.signed(token)
	if err != nil && t.outside != nil {
		return t.outside.parse(token, t.now())
	}
	switch {
	case err != nil:
		return verifiedToken{}, err
	case c.expired(t.now()):
		return verifiedToken{}, fmt.Errorf("%w: it has expired; start a new session", ErrToken)
	case !c.ours(t.now()):
		return verifiedToken{}, errForeign
	case !order.CustomerID(c.Subject).Valid():
		return verifiedToken{}, fmt.Errorf("%w: it names no customer by 1 to %d visible ASCII characters", ErrToken, order.MaxCustomerID)
	case reserved(order.CustomerID(c.Subject)):
		return verifiedToken{}, errReserved
	}
	return verifiedToken{caller: Caller{Customer: order.CustomerID(c.Subject), Roles: c.Roles}, expires: c.ExpiresAt.Time}, nil
}

// signed returns the claims of a token with a valid signature by HS256. It is jwt.ParseWithClaims without the library's check of the claims:
// that calls a method Validate through an interface, for which the linker keeps kong's method of this name, and with it every exported method
// of the program (docs/design/start-and-size.md). TestVerify_AsTheLibrary compares the two.
func (t *Tokens) signed(token string) (claims, error) {
	var c claims
	parsed, parts, err := jwt.NewParser().ParseUnverified(token, &c)
	if err != nil || parsed.Method != jwt.SigningMethodHS256 {
		return claims{}, errForeign
	}
	for _, k := range t.candidates(parsed.Header) {
		if parsed.Method.Verify(strings.Join(parts[:2], "."), parsed.Signature, k.key) == nil {
			return c, nil
		}
	}
	return claims{}, errForeign
}

// keyIDHeader is the header of a token that names its key.
const keyIDHeader = "kid"

// candidates are the keys that a token may be signed with: the one that its header names, or all if it names none, as tokens of older versions.
func (t *Tokens) candidates(header map[string]any) []signingKey {
	id, named := header[keyIDHeader]
	if !named {
		return t.keys
	}
	for i, k := range t.keys {
		if id == k.id {
			return t.keys[i : i+1]
		}
	}
	return nil
}

var errForeign = fmt.Errorf("%w: it was not signed by this shop", ErrToken)

// expired is false without a time of expiry.
func (c *claims) expired(now time.Time) bool {
	return c.ExpiresAt != nil && !now.Before(c.ExpiresAt.Add(leeway))
}

// ours reports whether the issuer is Spillway, the audience too if there is one, a time of expiry is set, and the token is not from the future.
func (c *claims) ours(now time.Time) bool {
	begun := func(from *jwt.NumericDate) bool { return from == nil || !now.Before(from.Add(-leeway)) }
	meant := len(c.Audience) == 0 || slices.Contains(c.Audience, audience)
	return c.Issuer == issuer && meant && c.ExpiresAt != nil && begun(c.IssuedAt) && begun(c.NotBefore)
}
