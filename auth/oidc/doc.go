// Package oidc reads the public keys of an OpenID Connect issuer, whose tokens name a shop's customers: it finds them by discovery, bounds what it reads in
// size and time, and keeps them current in the background. It verifies no tokens: package auth does.
package oidc
