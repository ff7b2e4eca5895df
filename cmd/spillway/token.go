package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

type tokenCmd struct {
	Customer string        `required:"" help:"The customer that the token names."`
	Role     []string      `enum:"operator,operator:read,service" help:"A role that the token gives: operator, operator:read (which changes nothing) or service; may be repeated."`
	TTL      time.Duration `name:"ttl" default:"24h" help:"How long the token is good."`
	DataDir  string        `name:"data-dir" env:"SPILLWAY_DATA_DIR" default:"${data_dir}" help:"Where the dev key is, if no --auth-key is given."`
	Auth     authFlags     `embed:""`
}

// Help is the end of the command's --help.
func (*tokenCmd) Help() string {
	return `Examples:

    spillway token --customer ada
    spillway token --customer me --role operator --ttl 1h --auth-key-file /run/secrets/auth-key`
}

// Run prints a token.
func (c *tokenCmd) Run(_ context.Context, env environment) error {
	if !order.CustomerID(c.Customer).Valid() {
		return usageErrorf("--customer %q: take 1 to 64 visible ASCII characters", c.Customer)
	}
	if c.TTL <= 0 {
		return usageErrorf("--ttl %s: must be more than nothing", c.TTL)
	}
	tokens, err := c.Auth.config().Minter(c.DataDir)
	if err != nil {
		return err
	}
	caller := auth.Caller{Customer: order.CustomerID(c.Customer)}
	for _, r := range c.Role {
		caller.Roles = append(caller.Roles, auth.Role(r))
	}
	token, _, err := tokens.Mint(caller, c.TTL)
	if err == nil {
		fmt.Fprintln(env.out, token)
	}
	return err
}

// operator mints an operator's token for a command that calls the API.
func (f authFlags) operator(dataDir string, as order.CustomerID, ttl time.Duration) (string, error) {
	tokens, err := f.config().Minter(dataDir)
	if err != nil {
		return "", err
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: as, Roles: []auth.Role{auth.Operator}}, ttl)
	return token, err
}
