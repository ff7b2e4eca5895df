package mail

import (
	"fmt"

	"github.com/spillway/spillway/order"
)

// check returns order.ErrInvalid for a mail that wire.FromMailRequest rejects: unless the ids, the state, the amounts and the kind are valid.
func check(m order.Mail) error {
	if !m.Order.State.Valid() {
		return fmt.Errorf("order state %v: %w", m.Order.State, order.ErrInvalid)
	}
	if m.Order.Currency == "" || m.Refund.Amount != 0 && m.Refund.Currency == "" {
		return fmt.Errorf("an amount of order %s has no currency: %w", m.Order.ID, order.ErrInvalid)
	}
	if err := checkIDs(m); err != nil {
		return err
	}
	if _, ok := mailTypes[m.Kind.Base()]; !ok {
		return fmt.Errorf("unknown kind of mail %q: %w", m.Kind, order.ErrInvalid)
	}
	if m.Kind == order.MailRefund {
		return fmt.Errorf("the mail of a refund has no id: %w", order.ErrInvalid)
	}
	if id, ok := m.Kind.RefundID(); ok && m.Refund.Amount <= 0 {
		return fmt.Errorf("refund %s is of %s: %w", id, m.Refund, order.ErrInvalid)
	}
	return nil
}
