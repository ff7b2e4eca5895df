package queue

import "errors"

var (
	// ErrUnavailable means that the broker is not reachable. The outcome of the call is unknown. Retry after a pause;
	// the adapter reconnects meanwhile.
	ErrUnavailable = errors.New("the queue is unavailable")
	// ErrFull means that the topic has reached its maximum because its consumers are behind. Retry after a pause, and
	// reject new work upstream meanwhile.
	ErrFull = errors.New("the queue is full")
	// ErrTooLarge means that a body or the headers exceed the maximum. It is not retryable.
	ErrTooLarge = errors.New("the message is too large for the queue")
	// ErrInvalid means that a name, a header or a lease can never be accepted. It is not retryable.
	ErrInvalid = errors.New("invalid for the queue")
	// ErrUnknownGroup means that the consumer group does not exist and that the broker does not create it. The consumer
	// works as soon as an operator has created the group.
	ErrUnknownGroup = errors.New("the queue does not know the group")
	// ErrUnauthorized means that the broker refuses the client's credentials, or that their user may not do this. It
	// works as soon as an operator has changed either.
	ErrUnauthorized = errors.New("the queue refuses the credentials")
	// ErrCorrupt means that a message is not as it was sent. It is not retryable.
	ErrCorrupt = errors.New("the message is corrupt")
	// ErrClosed means that Close was called.
	ErrClosed = errors.New("the queue's client is closed")
)
