package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spillway/spillway/auth/oidc"
	"github.com/spillway/spillway/order"
)

// Outside is an issuer of tokens that is not the shop, such as a Keycloak with the shop's customers. Its tokens name customers and never give a role.
type Outside struct {
	// Issuer is the claim "iss" of its tokens, and Audience one of their "aud".
	Issuer, Audience string
	// Name begins its customers' ids, so that those of two issuers differ: order.OIDCPrefix, Name, ":" and the claim.
	Name string
	// Claim is the one that names the customer; empty: DefaultClaim.
	Claim string
	// Keys are the issuer's.
	Keys OutsideKeys
}

// OutsideKeys are the keys of an issuer, as oidc.Source has them.
type OutsideKeys interface {
	// Set returns the keys; false if they are not known yet.
	Set() (oidc.Set, bool)
	// Want has the keys read again, and returns after which time they may have been.
	Want() (after time.Duration)
}

const (
	// DefaultClaim names the customer. An issuer never gives it to another one, unlike a mail address or a user's name.
	DefaultClaim = "sub"
	// maxClaimBytes bounds what names the customer; OpenID Connect allows 255 bytes.
	maxClaimBytes = 255
	// hashedMark begins what stands for a claim that cannot be a customer's id itself.
	hashedMark = "~"
)

// outsideName is what a Name may be: with a hash of 43 characters, the id has 64 at most.
var outsideName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,13}$`)

// Check reports what is wrong with the settings.
func (o Outside) Check() error {
	err := oidc.CheckIssuer(o.Issuer)
	if o.Issuer == issuer {
		err = fmt.Errorf("%q is this shop itself", o.Issuer)
	}
	switch {
	case err != nil:
		return fmt.Errorf("--oidc-issuer: %w", err)
	case o.Audience == "":
		return errors.New("--oidc-audience: name the shop as the issuer's tokens do: without it, tokens for other programs would be good here")
	case !outsideName.MatchString(o.Name):
		return fmt.Errorf("--oidc-name %q: take 1 to 14 of a-z, 0-9 and -", o.Name)
	}
	return nil
}

// Trust accepts the tokens of an outside issuer too. It must be called before the first Verify, and at most once.
func (t *Tokens) Trust(o Outside) error {
	if err := o.Check(); err != nil {
		return err
	}
	if o.Claim == "" {
		o.Claim = DefaultClaim
	}
	t.outside = &o
	return nil
}

// current reports whether a cached token is still signed by a key that counts.
func (t *Tokens) current(v verifiedToken) bool {
	if v.generation == 0 {
		return true // It is our own.
	}
	set, ok := t.outside.Keys.Set()
	return ok && set.Generation == v.generation
}

// outsideClaims are what a token of an outside issuer states.
type outsideClaims struct {
	jwt.RegisteredClaims
	all map[string]json.RawMessage
}

// UnmarshalJSON reads the claims.
func (c *outsideClaims) UnmarshalJSON(raw []byte) error {
	return errors.Join(json.Unmarshal(raw, &c.RegisteredClaims), json.Unmarshal(raw, &c.all))
}

// Why a token of the issuer is refused.
var (
	errOutsideAudience = fmt.Errorf("%w: it is not for this shop: its audience is another one", ErrToken)
	errOutsideTimes    = fmt.Errorf("%w: it states no time of issue and of expiry, or is not valid yet", ErrToken)
	errOutsideKind     = fmt.Errorf("%w: it is no token of access or identity", ErrToken)
	errOutsideClaim    = fmt.Errorf("%w: it names no customer", ErrToken)
)

// parse checks the claims and the signature of a token, in this order: claims are cheap, and a token of another issuer must not make this one's keys be read.
// It returns ErrToken, or order.ErrUnavailable with a retry hint for a token whose key may be one that is not known yet.
func (o *Outside) parse(token string, now time.Time) (verifiedToken, error) {
	var c outsideClaims
	parsed, parts, err := jwt.NewParser().ParseUnverified(token, &c)
	switch {
	case err != nil || c.Issuer != o.Issuer || !slices.Contains(outsideAlgorithms, parsed.Method.Alg()):
		return verifiedToken{}, errForeign
	case !c.kind(parsed.Header):
		return verifiedToken{}, errOutsideKind
	case !slices.Contains(c.Audience, o.Audience):
		return verifiedToken{}, errOutsideAudience
	case c.IssuedAt == nil || c.ExpiresAt == nil || now.Before(c.IssuedAt.Add(-leeway)) || c.NotBefore != nil && now.Before(c.NotBefore.Add(-leeway)):
		return verifiedToken{}, errOutsideTimes
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return verifiedToken{}, fmt.Errorf("%w: it has expired; sign in again", ErrToken)
	}
	set, known := o.Keys.Set()
	if !known {
		return verifiedToken{}, o.retry()
	}
	id, _ := parsed.Header[keyIDHeader].(string)
	keys := set.Keys.For(id, parsed.Method.Alg())
	signed := slices.ContainsFunc(keys, func(k oidc.Key) bool {
		return parsed.Method.Verify(strings.Join(parts[:2], "."), parsed.Signature, k.Public) == nil
	})
	switch {
	case len(keys) == 0 && c.IssuedAt.After(set.Read.Add(-leeway)):
		return verifiedToken{}, o.retry() // The key may be newer than the keys that are known.
	case !signed:
		return verifiedToken{}, errForeign
	}
	customer, err := o.customer(&c)
	return verifiedToken{caller: Caller{Customer: customer}, expires: c.ExpiresAt.Time, generation: set.Generation}, err
}

// outsideAlgorithms are the algorithms that an outside issuer may sign with.
var outsideAlgorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// retry has the keys read, and returns the refusal of a token meanwhile.
func (o *Outside) retry() error {
	return &order.RetryError{After: o.Keys.Want(), Err: order.Refuse(order.ErrUnavailable, order.ReasonIssuerUnavailable,
		"the keys of the token's issuer are not known yet: send the request again")}
}

// kind reports whether the token is one of access or identity: an issuer signs logout tokens and security events (which state "events") with the same keys.
// A header that must be understood ("crit") is not.
func (c *outsideClaims) kind(header map[string]any) bool {
	typ, named := header["typ"].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	_, critical := header["crit"]
	_, events := c.all["events"]
	return (!named || typ == "jwt" || typ == "at+jwt") && !critical && !events
}

// customer returns the id of the customer that the claims name.
func (o *Outside) customer(c *outsideClaims) (order.CustomerID, error) {
	var name string
	if err := json.Unmarshal(c.all[o.Claim], &name); err != nil || name == "" || len(name) > maxClaimBytes {
		return "", fmt.Errorf("%w in the claim %q by a text of 1 to %d bytes", errOutsideClaim, o.Claim, maxClaimBytes)
	}
	prefix := order.OIDCPrefix + o.Name + ":"
	if id := order.CustomerID(prefix + name); id.Valid() && !strings.HasPrefix(name, hashedMark) {
		return id, nil
	}
	hash := sha256.Sum256([]byte(name))
	return order.CustomerID(prefix + hashedMark + base64.RawURLEncoding.EncodeToString(hash[:])), nil
}
