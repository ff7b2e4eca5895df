package mail

import "context"

// Sender sends mails. Implementations are safe for concurrent use.
type Sender interface {
	// Send delivers the mails and returns one error for each, in their order: nil if the mail was accepted, order.ErrInvalid if no retry can
	// deliver it, order.ErrOverloaded if it was not tried because ctx ends too soon, and order.ErrNotSent if it was not tried because the
	// server is unavailable. After any error but the first a retry may deliver it. A mail that fails does not affect the others.
	Send(ctx context.Context, mails []Message) []error
}

// failAll returns the error n times.
func failAll(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
