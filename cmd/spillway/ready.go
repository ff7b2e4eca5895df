package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// readyCmd is the health check of a container, whose image has no other program.
type readyCmd struct {
	Admin string `name:"admin" env:"SPILLWAY_ADMIN" default:"127.0.0.1:9464" placeholder:"HOST:PORT" help:"The --admin address of the process."`
}

const (
	// readyTimeout bounds the check: the process checks its dependencies within 2 s.
	readyTimeout = 4 * time.Second
	// maxReadyBytes bounds the response that is read.
	maxReadyBytes = 64 << 10
)

// Help is the end of the command's --help.
func (*readyCmd) Help() string {
	return `Examples:

    spillway ready
    spillway ready --admin 127.0.0.1:9465`
}

// Run requests /readyz, and prints which dependency is unavailable.
func (c *readyCmd) Run(ctx context.Context, env environment) error {
	if _, _, err := net.SplitHostPort(c.Admin); err != nil {
		return usageErrorf("--admin %q: must be HOST:PORT", c.Admin)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Admin+"/readyz", http.NoBody)
	if err != nil {
		return usageErrorf("--admin %q: %w", c.Admin, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("failed to request /readyz: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // It was only read.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReadyBytes))
	if err != nil {
		return fmt.Errorf("failed to read /readyz: %w", err)
	}
	fmt.Fprintln(env.out, strings.TrimSpace(string(body)))
	if resp.StatusCode != http.StatusOK {
		return errors.New("the process is not ready")
	}
	return nil
}
