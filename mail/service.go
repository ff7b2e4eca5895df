package mail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// MaxBatch is the maximum number of mails of one call, as in email.proto. A crash sends at most so many mails a second time.
const MaxBatch = 100

// SentMails records which mails were sent.
type SentMails interface {
	// Sent returns those of the mails that were sent.
	Sent(ctx context.Context, mails []order.MailID) (map[order.MailID]bool, error)
	// CountTo returns how many mails were sent to each of the recipients since then.
	CountTo(ctx context.Context, recipients []order.Recipient, since time.Time) (map[order.Recipient]int, error)
	// MarkSent records that the mails were sent or skipped. It is idempotent.
	MarkSent(ctx context.Context, mails []order.SentMail) error
}

// Service is the EmailService. It is safe for concurrent use.
type Service struct {
	sent     SentMails
	sender   Sender
	messages *Messages
	metrics  *Metrics
	// perRecipient bounds the mails of an address within an hour; 0 is no bound.
	perRecipient int
	now          func() time.Time

	mu sync.Mutex
	// inFlight are the mails of the calls under way, so that two workers of the process do not send a mail at the same time.
	inFlight map[order.MailID]bool
	// unrecorded are mails that were sent and are not recorded yet.
	unrecorded map[order.MailID]order.SentMail
}

// NewService returns a service that sends mails by the sender.
func NewService(sent SentMails, sender Sender, messages *Messages) *Service {
	return &Service{
		sent: sent, sender: sender, messages: messages, now: time.Now, inFlight: make(map[order.MailID]bool),
		unrecorded: make(map[order.MailID]order.SentMail),
	}
}

// WithMetrics sets what counts the mails. It is called before the first one is sent.
func (s *Service) WithMetrics(m *Metrics) *Service {
	s.metrics = m
	return s
}

// SendOrderMails sends a batch of mails to the customers of their orders, without those that were sent before, and without
// those of addresses that have had their mails of the hour. It reads and writes with one statement each which mails were sent. A mail that cannot be sent does not affect the others. SendOrderMails returns an error and
// sends nothing if the batch is empty or larger than MaxBatch (order.ErrInvalid), or if it cannot read which mails were sent, or record earlier
// ones (order.ErrNotSent). A crash between the sending and the recording leads to a second mail with the same Message-ID (docs/design/mail.md).
func (s *Service) SendOrderMails(ctx context.Context, req *spillwayv1.SendOrderMailsRequest) (*spillwayv1.SendOrderMailsResponse, error) {
	entries := make([]entry, len(req.GetMails()))
	for i, r := range req.GetMails() {
		entries[i].mail, entries[i].err = wire.FromMailRequest(r)
	}
	b, err := s.sendBatch(ctx, entries)
	if err != nil {
		return nil, err
	}
	return b.response(), nil
}

// SendMails is SendOrderMails without messages. It returns one error for each mail, in their order: nil if the mail was sent, now or before, or is
// skipped.
func (s *Service) SendMails(ctx context.Context, mails []order.Mail) ([]error, error) {
	entries := make([]entry, len(mails))
	for i, m := range mails {
		entries[i].mail, entries[i].err = m, check(m)
	}
	b, err := s.sendBatch(ctx, entries)
	if err != nil {
		return nil, err
	}
	return b.errs(), nil
}

// sendBatch sends the mails of the entries that have no error.
func (s *Service) sendBatch(ctx context.Context, entries []entry) (*batch, error) {
	if n := len(entries); n == 0 || n > MaxBatch {
		return nil, fmt.Errorf("%d mails in a batch, must be 1 to %d: %w", n, MaxBatch, order.ErrInvalid)
	}
	b := s.newBatch(entries)
	defer s.release(b)
	defer s.metrics.count(ctx, b)
	err := s.recordLate(ctx)
	if err == nil {
		err = s.readSent(ctx, b)
	}
	if err == nil {
		err = s.skipFlood(ctx, b)
	}
	if err != nil {
		for _, e := range b.own {
			e.err = err
		}
		return nil, err
	}
	s.send(ctx, b)
	return b, nil
}

func (s *Service) readSent(ctx context.Context, b *batch) (err error) {
	if b.before, err = s.sent.Sent(ctx, ids(b.own)); err != nil {
		return fmt.Errorf("read which mails were sent: %w: %w", order.ErrNotSent, err)
	}
	return nil
}

// errInFlight is the result of a mail that another call of this process sends.
var errInFlight = fmt.Errorf("another call sends the mail: %w", order.ErrOverloaded)

// newBatch takes the mails that no other call sends.
func (s *Service) newBatch(entries []entry) *batch {
	b := &batch{entries: make([]*entry, len(entries))}
	taken := make(map[order.MailID]*entry, len(entries))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		e := &entries[i]
		id := e.mail.ID()
		first := taken[id]
		b.entries[i] = e
		switch {
		case e.err != nil:
		case first != nil:
			b.entries[i] = first
		case s.inFlight[id]:
			e.err = errInFlight
		default:
			b.own = append(b.own, e)
			taken[id], s.inFlight[id] = e, true
		}
	}
	return b
}

// release lets other calls send the mails of the batch.
func (s *Service) release(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids(b.own) {
		delete(s.inFlight, id)
	}
}

// send composes, sends and records the mails that were not sent before.
func (s *Service) send(ctx context.Context, b *batch) {
	var messages []Message
	var sending []*entry
	for _, e := range b.own {
		if b.before[e.mail.ID()] || e.skipped != "" {
			continue
		}
		message, err := s.messages.Write(e.mail)
		if err != nil {
			e.err = err
			continue
		}
		messages, sending = append(messages, message), append(sending, e)
	}
	sent := b.skipped()
	if len(messages) == 0 {
		s.record(ctx, sent)
		return
	}
	for i, err := range s.sender.Send(ctx, messages) {
		if sending[i].err = sendError(sending[i].mail, err); err == nil {
			sent = append(sent, sending[i])
		}
	}
	s.record(ctx, sent)
}

// sendError adds the mail to an error of the sender.
func sendError(m order.Mail, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("send %s mail of order %s: %w", m.Kind, m.Order.ID, err)
	if !errors.Is(err, order.ErrInvalid) && !errors.Is(err, order.ErrOverloaded) {
		err = fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return err
}
