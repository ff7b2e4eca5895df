package e2e

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

const (
	// commandTimeout bounds one command that ends by itself. The longest, an audit, waits for externalDrain at most.
	commandTimeout = 6 * time.Minute
	// outputDelay is how long the output of an ended command is read on: something that it left may keep it open.
	outputDelay = 5 * time.Second
)

// command is a program that ends by itself. When it does not, the test fails with that reason; the time limit of the package would end all
// tests without a word about it.
func command(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = outputDelay
	cmd.Cancel = func() error {
		t.Errorf("%s %v did not end within %s", program, args, commandTimeout)
		return cmd.Process.Kill()
	}
	return cmd
}

// receive is the next value of the channel, and the zero value after a failure.
func receive[T any](t testing.TB, limit time.Duration, what string, from <-chan T) (v T) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v = <-from:
	case <-timer.C:
		t.Errorf("waited %s in vain for %s", limit, what)
	}
	return v
}
