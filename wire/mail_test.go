package wire_test

import (
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// TestMailRequest_EachKindHasItsMessage: a kind that is missing in the table would go out as unspecified.
func TestMailRequest_EachKindHasItsMessage(t *testing.T) {
	t.Parallel()
	for _, kind := range order.MailKinds() {
		if got := wire.MailRequest(order.Mail{Kind: kind}).GetKind(); got == spillwayv1.MailKind_MAIL_KIND_UNSPECIFIED {
			t.Errorf("%s has no value in the API", kind)
		}
	}
}
