package auth

import (
	"fmt"
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
	switch {
	case err != nil:
		return verifiedToken{}, err
	case c.expired(t.now()):
		return verifiedToken{}, fmt.Errorf("%w: it has expired; start a new session", ErrToken)
	case !c.ours(t.now()):
		return verifiedToken{}, errForeign
	case c.Subject == "":
		return verifiedToken{}, fmt.Errorf("%w: it names no customer", ErrToken)
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
	if err := parsed.Method.Verify(strings.Join(parts[:2], "."), parsed.Signature, t.key); err != nil {
		return claims{}, errForeign
	}
	return c, nil
}

var errForeign = fmt.Errorf("%w: it was not signed by this shop", ErrToken)

// expired is false without a time of expiry.
func (c *claims) expired(now time.Time) bool {
	return c.ExpiresAt != nil && !now.Before(c.ExpiresAt.Add(leeway))
}

// ours reports whether the issuer is Spillway, a time of expiry is set, and the token is not from the future.
func (c *claims) ours(now time.Time) bool {
	begun := func(from *jwt.NumericDate) bool { return from == nil || !now.Before(from.Add(-leeway)) }
	return c.Issuer == issuer && c.ExpiresAt != nil && begun(c.IssuedAt) && begun(c.NotBefore)
}
