package order_test

import (
	"testing"

	"github.com/spillway/spillway/order"
)

// TestRecipientOf_SpellingsOfOneAddress: spellings that reach one person are one recipient, and others are not.
func TestRecipientOf_SpellingsOfOneAddress(t *testing.T) {
	t.Parallel()
	want := order.RecipientOf("ada@example.com")
	if len(want) != 22 {
		t.Errorf("%q has %d characters; SQL has room for 22", want, len(want))
	}
	for email, same := range map[string]bool{
		"Ada@Example.COM": true, "ada+shop@example.com": true, "ADA+1+2@example.com": true,
		"ada@example.org": false, "bob@example.com": false, "ada+x@example.org": false, "": false,
	} {
		if got := order.RecipientOf(email); (got == want) != same {
			t.Errorf("%q is the same recipient: %v; want %v", email, got == want, same)
		}
	}
}
