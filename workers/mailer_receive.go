package workers

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
)

// receive returns leased messages with the mails that they cause, each once: as many messages as have at most MailConfig.Mails mails, but at
// least one. It holds the others for the next iteration.
func (m *Mailer) receive(ctx context.Context) ([]queue.Message, []outgoingMail, error) {
	messages, err := m.leased(ctx)
	if err != nil {
		return nil, nil, err
	}
	var mails []outgoingMail
	seen := make(map[order.ID]bool)
	for i := range messages {
		changes, err := m.reader.read(ctx, messages[i:i+1])
		if err != nil {
			return nil, nil, err
		}
		more := confirmations(changes, seen)
		if i > 0 && len(mails)+len(more) > m.cfg.Mails {
			m.held = messages[i:]
			return messages[:i], mails, nil
		}
		mails = append(mails, more...)
	}
	return messages, mails, nil
}

// leased returns the messages that an earlier iteration held, or those of one Receive. Held messages are dropped when half of their lease is
// over, and are delivered again when it ends.
func (m *Mailer) leased(ctx context.Context) ([]queue.Message, error) {
	held := m.held
	m.held = nil
	if len(held) > 0 && time.Until(m.leaseEnd) > m.cfg.Lease/2 {
		return held, nil
	}
	messages, err := m.consumer.Receive(ctx, m.cfg.Messages, m.cfg.Lease)
	m.leaseEnd = time.Now().Add(m.cfg.Lease)
	return messages, err
}

// confirmations returns the mails that the changes cause, without those of orders in seen, and adds their orders to seen. An order that was
// never paid causes none, also when it expires or is cancelled: an unknown guest chose its address and text, so that the mail could reach a
// victim.
func confirmations(changes []order.Event, seen map[order.ID]bool) []outgoingMail {
	var out []outgoingMail
	for _, c := range changes {
		if c.To != order.Paid || seen[c.Order.ID] {
			continue
		}
		seen[c.Order.ID] = true
		m := outgoingMail{Mail: order.Mail{Kind: order.MailConfirmation, Order: c.Order}, trace: c.Trace}
		m.Order.State, m.Order.UpdatedAt = c.To, c.At
		out = append(out, m)
	}
	return out
}
