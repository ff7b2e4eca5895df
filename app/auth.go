package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spillway/spillway/auth"
)

// AuthConfig holds the key that signs bearer tokens.
type AuthConfig struct {
	Key string // at least 32 characters, the same in every process; empty: the development key in the data directory
	// VerifyKeys are further keys whose tokens are accepted, for a rotation, with white space between them.
	VerifyKeys string
}

// with returns the tokens that the key signs.
func (c AuthConfig) with(key []byte) (*auth.Tokens, error) {
	var verify [][]byte
	for k := range strings.FieldsSeq(c.VerifyKeys) {
		verify = append(verify, []byte(k))
	}
	return auth.NewTokens(key, verify...)
}

// DevKey is the file in which embedded storage keeps its own key.
func DevKey(dataDir string) string { return filepath.Join(dataDir, "auth.key") }

// Minter returns the tokens of a shop that runs elsewhere. It creates no key: one that the shop does not have would mint useless tokens.
func (c AuthConfig) Minter(dataDir string) (*auth.Tokens, error) {
	if c.Key != "" {
		return c.with([]byte(c.Key))
	}
	key, err := os.ReadFile(DevKey(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf(
			"--data-dir %q has no dev key: name the one of a shop that has run on embedded storage, or give the shop's --auth-key (SPILLWAY_AUTH_KEY)",
			dataDir,
		)
	}
	if err != nil {
		return nil, fmt.Errorf("the dev key: %w", err)
	}
	return c.with(key)
}

// validate checks that a key is given where one is needed, and that it is long enough.
func (c AuthConfig) validate(embedded bool) error {
	if c.Key != "" {
		_, err := c.with([]byte(c.Key))
		return err
	}
	if !embedded {
		return errors.New("--auth-key (SPILLWAY_AUTH_KEY) is needed on real storage, the same in every process: make one with `openssl rand -hex 32`")
	}
	return nil
}

// tokens makes the minter and verifier of an API. Without a configured key, embedded storage keeps one of its own in the data directory.
func (c AuthConfig) tokens(dataDir string, embedded bool) (*auth.Tokens, error) {
	if err := c.validate(embedded); err != nil {
		return nil, err
	}
	if c.Key != "" {
		return c.with([]byte(c.Key))
	}
	key, err := auth.LoadOrCreateKey(DevKey(dataDir))
	if err != nil {
		return nil, fmt.Errorf("the dev key: %w", err)
	}
	return c.with(key)
}
