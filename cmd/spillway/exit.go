package main

import (
	"errors"
	"io"
)

// exitUsage is for a command line that cannot be understood: nothing was done.
const exitUsage = 2

// exitError is an error with an exit status of its own.
type exitError struct {
	status int
	err    error
}

// Error is that of what happened.
func (e exitError) Error() string { return e.err.Error() }

// Unwrap is what happened.
func (e exitError) Unwrap() error { return e.err }

// exitStatus is 1 unless the error says otherwise.
func exitStatus(err error) int {
	var e exitError
	if errors.As(err, &e) {
		return e.status
	}
	return 1
}

// errWriter is stderr, for commands whose result goes to stdout.
type errWriter struct{ io.Writer }
