package order

import "strings"

// GuestPrefix begins the ids of customers who have no account.
const GuestPrefix = "guest_"

// Guest reports whether the customer has no account.
func (c CustomerID) Guest() bool { return strings.HasPrefix(string(c), GuestPrefix) }

const (
	// DeclineGeneric is the decline code without a reason.
	DeclineGeneric = "generic_decline"
	// DeclineAttempts is the decline code of an order after MaxChargeAttempts attempts. The provider is not called.
	DeclineAttempts = "too_many_attempts"
)

// ShownDecline returns the decline code that a customer gets. A guest gets DeclineGeneric: the provider's reason would show which of many stolen
// numbers are real, and guests cost nothing. The ledger has the provider's code.
func ShownDecline(c CustomerID, code string) string {
	if c.Guest() && code != "" && code != DeclineAttempts {
		return DeclineGeneric
	}
	return code
}
