package server

import "strings"

// clientError is an error with the text that clients get.
type clientError struct {
	err  error
	text string
}

// Error is the text for clients.
func (e *clientError) Error() string { return e.text }

// Unwrap lets errors.Is see the cause.
func (e *clientError) Unwrap() error { return e.err }

// withoutClass removes the text of the class from the end of an error: clients have the code for it. An error that has no other text keeps it.
func withoutClass(err, class error) error {
	text := strings.TrimSuffix(err.Error(), ": "+class.Error())
	return &clientError{err: err, text: text}
}
