package app

import (
	"errors"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/auth/oidc"
)

// OIDCConfig configures an outside issuer of tokens, whose customers are the shop's.
type OIDCConfig struct {
	Issuer   string // URL; empty: there is none
	Audience string // of the issuer's tokens that are for this shop
	Name     string // begins its customers' ids
	Claim    string // the one that names the customer
}

// DefaultOIDCName begins the ids of an outside issuer's customers.
const DefaultOIDCName = "main"

func (c OIDCConfig) outside() auth.Outside {
	return auth.Outside{Issuer: c.Issuer, Audience: c.Audience, Name: c.Name, Claim: c.Claim}
}

func (c OIDCConfig) validate() error {
	switch {
	case c.Issuer == "" && c.Audience != "":
		return errors.New("--oidc-audience needs --oidc-issuer")
	case c.Issuer == "":
		return nil
	}
	return c.outside().Check()
}

// trustIssuer lets the tokens of the outside issuer in, if there is one. Its keys are read while Run runs.
func (a *App) trustIssuer() error {
	c := a.cfg.OIDC
	if c.Issuer == "" || !a.cfg.public() {
		return nil
	}
	a.issuer = oidc.NewSource(c.Issuer, a.log)
	outside := c.outside()
	outside.Keys = a.issuer
	return a.tokens.Trust(outside)
}
