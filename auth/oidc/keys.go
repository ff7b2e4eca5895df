package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

const (
	// maxKeys bounds the keys of an issuer: in a rotation it has a few.
	maxKeys = 64
	// minRSABits and maxRSABits bound RSA keys: below, they can be broken; above, one signature takes longer to check than a request.
	minRSABits, maxRSABits = 2048, 8192
)

// The algorithms of signatures that are accepted. None is symmetric: with HS256, a public key would be a secret that everybody knows.
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// Key is a public key.
type Key struct {
	// ID is the "kid" by which the header of a token names the key; it may be empty.
	ID     string
	Public crypto.PublicKey
	// algorithms are those that a token of the key may have: they follow from the key, never from the token.
	algorithms []string
}

// Keys are the keys of an issuer.
type Keys []Key

// For returns the keys that a token with this key id and algorithm may be signed with. A token without an id is only good if one key alone can
// be meant.
func (k Keys) For(id, algorithm string) Keys {
	var found Keys
	for _, key := range k {
		if (id == "" || key.ID == id) && slices.Contains(key.algorithms, algorithm) {
			found = append(found, key)
		}
	}
	if id == "" && len(found) > 1 {
		return nil
	}
	return found
}

// equal reports whether both are the same keys in the same order.
func (k Keys) equal(other Keys) bool {
	return slices.EqualFunc(k, other, func(a, b Key) bool {
		public, ok := a.Public.(interface{ Equal(x crypto.PublicKey) bool })
		return ok && a.ID == b.ID && slices.Equal(a.algorithms, b.algorithms) && public.Equal(b.Public)
	})
}

// keySet is a JWK Set.
type keySet struct {
	Keys []json.RawMessage `json:"keys"`
}

// usable returns the keys for signatures. Others, such as those for encryption and those of other algorithms, are left out, as RFC 7517 demands.
func (s keySet) usable() (Keys, error) {
	if len(s.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has %d keys; there may be %d", len(s.Keys), maxKeys)
	}
	var out Keys
	var errs []error
	for _, raw := range s.Keys {
		key, err := parseKey(raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.Join(append(errs, fmt.Errorf("the issuer has no key for %s, %s, %s or %s", RS256, PS256, ES256, EdDSA))...)
	}
	return out, nil
}

// parseKey reads a JWK. Certificates in it are left out: they would have to be read from elsewhere, or be checked by rules that this shop does not know.
func parseKey(raw json.RawMessage) (Key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return Key{}, err
	}
	m.X5U, m.X5C, m.X5T, m.X5TS256 = "", nil, "", ""
	if m.USE != "" && m.USE != jwkset.UseSig {
		return Key{}, fmt.Errorf("key %q is for %q", m.KID, m.USE)
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return Key{}, fmt.Errorf("key %q is not for signatures", m.KID)
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return Key{}, fmt.Errorf("key %q: %w", m.KID, err)
	}
	algorithms := algorithmsOf(jwk.Key())
	if m.ALG != "" {
		algorithms = slices.DeleteFunc(algorithms, func(a string) bool { return a != string(m.ALG) })
	}
	if len(algorithms) == 0 {
		return Key{}, fmt.Errorf("key %q is for no algorithm that is accepted", m.KID)
	}
	return Key{ID: m.KID, Public: jwk.Key(), algorithms: algorithms}, nil
}

// algorithmsOf returns the algorithms that a key can be for.
func algorithmsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return []string{RS256, PS256}
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []string{ES256}
		}
	case ed25519.PublicKey:
		return []string{EdDSA}
	}
	return nil
}
