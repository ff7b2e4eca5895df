package mail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spillway/spillway/order"
)

// record records mails that were sent or skipped, even if the caller has left. If that fails they count as failed, and are unrecorded.
func (s *Service) record(ctx context.Context, sent []*entry) {
	if len(sent) == 0 {
		return
	}
	err := s.sent.MarkSent(context.WithoutCancel(ctx), records(sent))
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range sent {
		e.err = fmt.Errorf("mail was sent and not recorded: %w", err)
		if errors.Is(err, order.ErrUnavailable) {
			s.unrecorded[e.mail.ID()] = e.record()
		}
	}
}

// records are the rows of the mails.
func records(entries []*entry) []order.SentMail {
	out := make([]order.SentMail, len(entries))
	for i, e := range entries {
		out[i] = e.record()
	}
	return out
}

// recordLate records the mails that were sent and could not be recorded. Until that works no other mail is sent: while SQL can be read and not
// written, as with a full disk, each retry would send its mails again. So there are at most as many as the calls that were under way have.
func (s *Service) recordLate(ctx context.Context) error {
	s.mu.Lock()
	late := slices.Collect(maps.Values(s.unrecorded))
	s.mu.Unlock()
	if len(late) == 0 {
		return nil
	}
	err := s.sent.MarkSent(ctx, late)
	if errors.Is(err, order.ErrUnavailable) {
		return fmt.Errorf("record %d mails that were sent: %w: %w", len(late), order.ErrNotSent, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range late { // Also if SQL will never take them: the others go on.
		delete(s.unrecorded, m.MailID)
	}
	return nil
}
