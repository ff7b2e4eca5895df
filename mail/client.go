package mail

import (
	"context"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client calls an EmailService, in this process or behind a URL, under the mail policy. It is safe for concurrent use and does not retry.
type Client struct {
	Service spillwayv1connect.EmailServiceClient
	Policy  *breaker.Policy
}

// Send sends a mail to the order's customer, once for each order and kind. It returns order.ErrInvalid for a mail that no retry can send. After
// any other error the caller may retry (docs/design/mail.md).
func (c Client) Send(ctx context.Context, m order.Mail) error {
	_, err := breaker.Call(ctx, c.Policy, func(ctx context.Context) (*spillwayv1.SendOrderMailResponse, error) {
		resp, err := c.Service.SendOrderMail(ctx, wire.MailRequest(m))
		return resp, wire.FromConnect(err)
	})
	return err
}
