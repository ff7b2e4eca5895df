package order_test

import (
	"testing"

	"github.com/spillway/spillway/order"
)

func TestShownDecline_GuestsGetNoReason(t *testing.T) {
	for _, c := range []struct {
		customer   order.CustomerID
		code, want string
	}{
		{"guest_1", "insufficient_funds", order.DeclineGeneric},
		{"guest_1", "incorrect_cvc", order.DeclineGeneric},
		{"guest_1", order.DeclineAttempts, order.DeclineAttempts},
		{"guest_1", "", ""},
		{"ada", "insufficient_funds", "insufficient_funds"},
	} {
		if got := order.ShownDecline(c.customer, c.code); got != c.want {
			t.Errorf("%s sees %q for %q; want %q", c.customer, got, c.code, c.want)
		}
	}
}
