package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

type tokenCmd struct {
	Customer string        `required:"" help:"The customer that the token names."`
	Role     []string      `enum:"operator,service" help:"A role that the token gives: operator or service; may be repeated."`
	TTL      time.Duration `name:"ttl" default:"24h" help:"How long the token is good."`
	DataDir  string        `name:"data-dir" env:"SPILLWAY_DATA_DIR" default:"data" help:"Where the dev key is, if no --auth-key is given."`
	Key      keyConfig     `embed:""`
}

var customerPattern = regexp.MustCompile(`^[[:graph:]]{1,64}$`)

// Run prints a token.
func (c *tokenCmd) Run(out io.Writer) error {
	if !customerPattern.MatchString(c.Customer) {
		return fmt.Errorf("--customer %q: take 1 to 64 visible ASCII characters", c.Customer)
	}
	if c.TTL <= 0 {
		return fmt.Errorf("--ttl %s: must be more than nothing", c.TTL)
	}
	tokens, err := c.Key.minter(c.DataDir)
	if err != nil {
		return err
	}
	caller := auth.Caller{Customer: order.CustomerID(c.Customer)}
	for _, r := range c.Role {
		caller.Roles = append(caller.Roles, auth.Role(r))
	}
	token, _, err := tokens.Mint(caller, c.TTL)
	if err == nil {
		fmt.Fprintln(out, token)
	}
	return err
}

// devKey is where embedded storage keeps its own key.
func devKey(dataDir string) string { return filepath.Join(dataDir, "auth.key") }

// operator mints an operator's token for a command that calls the API.
func (c keyConfig) operator(dataDir string, as order.CustomerID, ttl time.Duration) (string, error) {
	tokens, err := c.minter(dataDir)
	if err != nil {
		return "", err
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: as, Roles: []auth.Role{auth.Operator}}, ttl)
	return token, err
}

// minter mints for a shop that runs elsewhere. It makes no key: one that the shop does not have would mint useless tokens.
func (c keyConfig) minter(dataDir string) (*auth.Tokens, error) {
	if c.Key != "" {
		return auth.NewTokens([]byte(c.Key))
	}
	key, err := os.ReadFile(devKey(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("--data-dir %q has no dev key: name the one of a shop that has run on embedded storage, or give the shop's --auth-key (SPILLWAY_AUTH_KEY)", dataDir)
	}
	if err != nil {
		return nil, fmt.Errorf("the dev key: %w", err)
	}
	return auth.NewTokens(key)
}

// tokens makes the minter and verifier. Without a configured key, embedded storage keeps one of its own in the data directory.
func (c keyConfig) tokens(dataDir string, embedded bool) (*auth.Tokens, error) {
	switch {
	case c.Key != "":
		return auth.NewTokens([]byte(c.Key))
	case !embedded:
		return nil, fmt.Errorf("--auth-key (SPILLWAY_AUTH_KEY) is needed on real storage, the same in every process: make one with `openssl rand -hex 32`")
	}
	key, err := auth.LoadOrCreateKey(devKey(dataDir))
	if err != nil {
		return nil, fmt.Errorf("the dev key: %w", err)
	}
	return auth.NewTokens(key)
}
