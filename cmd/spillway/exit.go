package main

import (
	"errors"
	"fmt"

	"github.com/spillway/spillway/app"
)

// The exit statuses.
const (
	exitOK       = 0
	exitFailure  = 1 // the command failed
	exitUsage    = 2 // the command line cannot be understood, or a setting is not valid
	exitViolated = 3 // an audit or a load has finished and found violations
)

// exitError ends the process with a status of its own.
type exitError struct {
	status int
	err    error
}

// Error is the cause's text.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap lets errors.Is see the cause.
func (e *exitError) Unwrap() error { return e.err }

// exitStatus is exitFailure for errors that ask for no other.
func exitStatus(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		return e.status
	case app.IsWrongVariable(err):
		return exitUsage
	}
	return exitFailure
}

// usageError marks a mistake in the command line; nil stays nil.
func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

// usageErrorf is a usageError with a text of its own.
func usageErrorf(format string, args ...any) error { return usageError(fmt.Errorf(format, args...)) }
