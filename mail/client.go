package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client calls an EmailService, in this process or behind a URL, under the mail policy. It is safe for concurrent use and does not retry.
type Client struct {
	Service spillwayv1connect.EmailServiceClient
	// Local sends the mails if it is not nil. It is the Service of this process, so that a batch needs no messages.
	Local  BatchSender
	Policy *breaker.Policy
}

// BatchSender sends batches in this process. Its errors are those of Service.SendMails.
type BatchSender interface {
	SendMails(ctx context.Context, mails []order.Mail) ([]error, error)
}

// Send sends mails to the customers of their orders, each once, in calls of at most MaxBatch. It returns one error for each mail, in their
// order: nil if the mail was sent, now or before; order.ErrInvalid if no retry can send it; order.ErrOverloaded if there was no time for it;
// order.ErrNotSent if the mail server is unavailable. The last two are no attempts. After any error but order.ErrInvalid the caller may retry
// (docs/design/mail.md).
func (c Client) Send(ctx context.Context, mails []order.Mail) []error {
	errs := make([]error, 0, len(mails))
	for batch := range slices.Chunk(mails, MaxBatch) {
		if err := ctx.Err(); err != nil {
			errs = append(errs, failAll(len(batch), fmt.Errorf("mail not tried: %w: %w", order.ErrOverloaded, err))...)
			continue
		}
		errs = append(errs, c.sendBatch(ctx, batch)...)
	}
	return errs
}

// sendBatch makes one call. For the breaker the call failed if none of its mails was sent, and one because of the service or the mail server.
func (c Client) sendBatch(ctx context.Context, mails []order.Mail) (errs []error) {
	_, err := breaker.Call(ctx, c.Policy, func(ctx context.Context) (struct{}, error) {
		var err error
		if errs, err = c.call(ctx, mails); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, failure(errs)
	})
	if errs == nil {
		return failAll(len(mails), err)
	}
	return errs
}

// call calls the local service, or else the service. It returns the error of each mail.
func (c Client) call(ctx context.Context, mails []order.Mail) ([]error, error) {
	if c.Local != nil {
		errs, err := c.Local.SendMails(ctx, mails)
		for i, err := range errs {
			if err != nil { // Only the class of an error and its text are of interest, as in a message.
				errs[i] = wire.FromMailResult(wire.MailResult(err))
			}
		}
		return errs, err
	}
	resp, err := c.Service.SendOrderMails(ctx, wire.MailsRequest(mails))
	err = wire.FromConnect(err)
	switch {
	case errors.Is(err, order.ErrUnavailable):
		// The service sends each mail once, however often it is requested, and a service that is down must make no mail a dead letter.
		return nil, fmt.Errorf("%w: %w", order.ErrNotSent, err)
	case err != nil:
		return nil, err
	case len(resp.GetResults()) != len(mails):
		return nil, fmt.Errorf("%d results for %d mails: %w", len(resp.GetResults()), len(mails), order.ErrUnavailable)
	}
	errs := make([]error, len(mails))
	for i, r := range resp.GetResults() {
		errs[i] = wire.FromMailResult(r)
	}
	return errs, nil
}

// failure returns the first failure of the service or the mail server, or nil if a mail was sent. Mails that can never be sent, and those that
// there was no time for, show neither that the server works nor that it fails.
func failure(errs []error) error {
	var first error
	for _, err := range errs {
		if err == nil {
			return nil
		}
		if first == nil && breaker.IsFailure(err) {
			first = err
		}
	}
	return first
}
