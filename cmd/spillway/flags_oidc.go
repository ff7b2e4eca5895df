package main

import "github.com/spillway/spillway/app"

// oidcFlags configure the outside issuer of customers' tokens.
type oidcFlags struct {
	Issuer   string `name:"oidc-issuer" env:"SPILLWAY_OIDC_ISSUER" placeholder:"URL" help:"An OpenID Connect issuer with the shop's own customers, such as https://id.example.com/realms/shop, exactly as its tokens name it in iss. Its tokens are accepted beside those of this shop; they never give a role. See docs/security.md."`
	Audience string `name:"oidc-audience" env:"SPILLWAY_OIDC_AUDIENCE" placeholder:"NAME" help:"What the issuer's tokens for this shop have in aud. Needed with --oidc-issuer."`
	Name     string `name:"oidc-name" env:"SPILLWAY_OIDC_NAME" default:"${oidc_name}" help:"Begins the ids of the issuer's customers, as oidc:NAME:SUB: 1 to 14 of a-z, 0-9 and -. Take another one with another issuer; changing it parts customers from their orders."`
	Claim    string `name:"oidc-claim" env:"SPILLWAY_OIDC_CLAIM" default:"${oidc_claim}" help:"The claim that names the customer, a text. The issuer must never give it to another customer, nor let customers choose it."`
}

func (f oidcFlags) config() app.OIDCConfig {
	return app.OIDCConfig{Issuer: f.Issuer, Audience: f.Audience, Name: f.Name, Claim: f.Claim}
}
