package mail

import (
	"context"

	gomail "github.com/wneessen/go-mail"
)

// Sender sends mails.
type Sender interface {
	// Send hands the mail over. The name is the shop's own for it, such as "ORDER.confirmation". order.ErrInvalid means that
	// this mail will never be taken, any other error that it may be later.
	Send(ctx context.Context, m *gomail.Msg, name string) error
}
