package order_test

import (
	"strings"
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

func TestCustomerID_Valid(t *testing.T) {
	for _, id := range []string{"a", "guest_1", "~!", strings.Repeat("x", order.MaxCustomerID)} {
		if !order.CustomerID(id).Valid() {
			t.Errorf("%q is refused", id)
		}
	}
	for _, id := range []string{"", " ", "victim ", " victim", "a b", "a\x00", "a\n", "a\x1b[2J", "\u202eadmin", "é", strings.Repeat("x", order.MaxCustomerID+1)} {
		if order.CustomerID(id).Valid() {
			t.Errorf("%q is taken", id)
		}
	}
}
