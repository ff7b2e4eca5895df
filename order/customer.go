package order

import "strings"

// MaxCustomerID is the maximum length of a customer id in bytes: that of its column in SQL.
const MaxCustomerID = 64

// Valid reports whether the id has 1 to MaxCustomerID visible ASCII characters. So no two ids look alike or compare as equal anywhere, and none
// changes the meaning of a key in Redis, of a log line or of what a terminal shows.
func (c CustomerID) Valid() bool {
	for i := range len(c) {
		if c[i] < '!' || c[i] > '~' {
			return false
		}
	}
	return c != "" && len(c) <= MaxCustomerID
}

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

// BoutiquePrefix begins the ids of the customers of Online Boutique's interface, which names its users without tokens. No token is minted or accepted for
// such a customer.
const BoutiquePrefix = "boutique:"

// OIDCPrefix begins the ids of the customers of an outside issuer. None of the shop's own tokens is minted or accepted for such a customer.
const OIDCPrefix = "oidc:"
