package server

import (
	"strings"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// isUsualPlaceOrder reports whether the request certainly keeps the rules of its message in proto/spillway/v1 and of checkTexts. It accepts what nearly all
// clients send, without allocating, and rejects some valid requests, such as those with an unusual mail address: those decide about
// all that it does not accept. Lengths are compared in bytes, which are never fewer than the characters that the rules count.
func isUsualPlaceOrder(m *spillwayv1.PlaceOrderRequest) bool {
	return areUsualLines(m.GetLines()) &&
		isCode(m.GetCurrencyCode(), currencyLetters) &&
		isUsualEmail(m.GetEmail()) &&
		m.GetShippingAddress() != nil && isUsualAddress(m.GetShippingAddress()) &&
		(m.GetCard() == nil || isUsualCard(m.GetCard())) &&
		isVisible(m.GetIdempotencyKey()) &&
		(m.GetExpectedTotal() == nil || isUsualMoney(m.GetExpectedTotal()))
}

// The bounds of the rules in proto/spillway/v1, beside order.MaxLines and order.MaxQuantity. FuzzIsUsualPlaceOrder has a request at each of them.
const (
	maxSKULen        = 64
	currencyLetters  = 3
	maxEmailLen      = 254
	maxLabelLen      = 63
	maxNameLen       = 200
	maxCityLen       = 100
	maxPostalCodeLen = 20
	maxUnits         = 1_000_000_000_000
	maxNanos         = 999_999_999
	minCardDigits    = 12
	maxCardDigits    = 19
)

func areUsualLines(lines []*spillwayv1.Line) bool {
	for _, l := range lines {
		if l == nil || !isSKU(l.GetSku()) || l.GetQuantity() < 1 || l.GetQuantity() > order.MaxQuantity {
			return false
		}
	}
	return len(lines) <= order.MaxLines
}

func isSKU(s string) bool {
	if s == "" || len(s) > maxSKULen || !isAlphanumeric(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte("_.-", s[i]) < 0 {
			return false
		}
	}
	return true
}

func isUsualAddress(a *spillwayv1.Address) bool {
	return hasLen(a.GetName(), 1, maxNameLen) && hasLen(a.GetStreet(), 1, maxNameLen) && hasLen(a.GetCity(), 1, maxCityLen) &&
		hasLen(a.GetRegion(), 0, maxCityLen) && hasLen(a.GetPostalCode(), 0, maxPostalCodeLen) && order.IsCountry(a.GetCountryCode()) &&
		order.IsClean(a.GetName()) && order.IsClean(a.GetStreet()) && order.IsClean(a.GetCity()) && order.IsClean(a.GetRegion()) &&
		order.IsClean(a.GetPostalCode())
}

func hasLen(s string, least, most int) bool { return len(s) >= least && len(s) <= most }

// isUsualEmail accepts local@domain of letters, digits and ._+- in front and .- behind.
func isUsualEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(s) > maxEmailLen || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	for i := range len(local) {
		if !isAlphanumeric(local[i]) && strings.IndexByte("._+-", local[i]) < 0 {
			return false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is a part of a domain between two dots.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabelLen || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func isUsualCard(c *spillwayv1.Card) bool {
	cvv := c.GetCvv()
	return isCardNumber(c.GetNumber()) && hasLen(cvv, 3, 4) && areDigits(cvv) &&
		c.GetExpiryYear() >= 2000 && c.GetExpiryYear() <= 2100 && c.GetExpiryMonth() >= 1 && c.GetExpiryMonth() <= 12
}

// isCardNumber accepts digits with at most one space or dash between two of them.
func isCardNumber(s string) bool {
	digits, separated := 0, true
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits, separated = digits+1, false
		case (c == ' ' || c == '-') && !separated:
			separated = true
		default:
			return false
		}
	}
	return !separated && digits >= minCardDigits && digits <= maxCardDigits
}

func isUsualMoney(m *spillwayv1.Money) bool {
	return isCode(m.GetCurrencyCode(), currencyLetters) && m.GetUnits() >= -maxUnits && m.GetUnits() <= maxUnits &&
		m.GetNanos() >= -maxNanos && m.GetNanos() <= maxNanos
}

// isCode reports whether s has n capital letters.
func isCode(s string, n int) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return len(s) == n
}

// isVisible reports whether s is an idempotency key or empty.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxKeyLen
}

func areDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
