package mail

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// DefaultRecipientLimit is how many mails one address gets within recipientWindow: those of 20 orders with a confirmation, a parcel and one more.
// Anyone may place orders under the address of a victim.
const DefaultRecipientLimit = 60

// recipientWindow is the time in which the mails of an address are counted.
const recipientWindow = time.Hour

// WithRecipientLimit bounds the mails that an address gets within an hour; 0 is no bound. Mails beyond it are recorded as skipped, and never sent. It
// is called before the first mail is sent.
func (s *Service) WithRecipientLimit(n int) *Service {
	s.perRecipient = n
	return s
}

// skipFlood marks the mails beyond the limit of their address. What counts is what all processes recorded as sent, and the earlier mails of the
// batch: calls at the same time do not see each other's, so that C of them let at most C times the limit pass, once.
func (s *Service) skipFlood(ctx context.Context, b *batch) error {
	if s.perRecipient == 0 {
		return nil
	}
	entries := b.unsent()
	recipients := make([]order.Recipient, len(entries))
	for i, e := range entries {
		recipients[i] = e.recipient()
	}
	counts, err := s.sent.CountTo(ctx, recipients, s.now().Add(-recipientWindow))
	if err != nil {
		return fmt.Errorf("count the mails of %d recipients: %w: %w", len(recipients), order.ErrNotSent, err)
	}
	taken := make(map[order.Recipient]int, len(entries))
	for i, e := range entries {
		r := recipients[i]
		if taken[r]++; counts[r]+taken[r] > s.perRecipient {
			e.skipped = order.SkipRecipientLimit
		}
	}
	return nil
}
