package mail

import (
	"context"

	gomail "github.com/wneessen/go-mail"
)

// Sender sends mails. Implementations are safe for concurrent use.
type Sender interface {
	// Send delivers the mail. name identifies it in logs and errors, such as "ORDER.confirmation". Send returns order.ErrInvalid for a
	// mail that no retry can deliver. After any other error a retry may deliver it.
	Send(ctx context.Context, m *gomail.Msg, name string) error
}
