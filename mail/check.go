package mail

import (
	"fmt"

	"github.com/spillway/spillway/order"
)

// check returns order.ErrInvalid for a mail that wire.FromMailRequest rejects: unless the state, the currencies and the mail are valid.
func check(m order.Mail) error {
	if !m.Order.State.Valid() {
		return fmt.Errorf("order state %v: %w", m.Order.State, order.ErrInvalid)
	}
	if m.Order.Currency == "" || m.Refund.Amount != 0 && m.Refund.Currency == "" {
		return fmt.Errorf("an amount of order %s has no currency: %w", m.Order.ID, order.ErrInvalid)
	}
	return m.Validate()
}
