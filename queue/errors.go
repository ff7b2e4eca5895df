package queue

import "errors"

var (
	// ErrUnavailable means that the broker does not answer, or not yet. The outcome of what was asked is unknown. Wait
	// and try again; the adapter is reconnecting meanwhile.
	ErrUnavailable = errors.New("the queue is unavailable")
	// ErrFull means that the topic is at its bound because its consumers are behind. Wait, then send again; meanwhile
	// refuse new work upstream.
	ErrFull = errors.New("the queue is full")
	// ErrTooLarge means that a body or headers are over the bound. No retry helps.
	ErrTooLarge = errors.New("the message is too large for the queue")
	// ErrInvalid means that a name, a header or a lease can never be accepted. No retry helps.
	ErrInvalid = errors.New("invalid for the queue")
	// ErrUnknownGroup means that the broker does not know the group, and does not make it by itself. Its operator has to
	// create it; the consumer works from then on.
	ErrUnknownGroup = errors.New("the queue does not know the group")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("the queue's client is closed")
)
