package order

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// CancelCode is why an order was cancelled, for programs.
type CancelCode string

// The codes, as SQL keeps them. The empty code is that of an order that is not cancelled, or of a reason that has none.
const (
	// CancelDeclined: the card was declined; CancelReason.DeclineCode is the provider's code.
	CancelDeclined CancelCode = "card_declined"
	// CancelDuplicate: the idempotency key belongs to another order, CancelReason.DuplicateOf.
	CancelDuplicate CancelCode = "duplicate"
	// CancelExpired: an order that was placed without a card was not paid in time.
	CancelExpired CancelCode = "expired"
	// CancelPaymentUnknown: the outcome of the charge did not become known in time.
	CancelPaymentUnknown CancelCode = "payment_unknown"
	// CancelPaymentVoided: the ledger forbids the charge.
	CancelPaymentVoided CancelCode = "payment_voided"
	// CancelLost: Redis lost the order before SQL had it.
	CancelLost CancelCode = "lost"
	// CancelChargedLate: the card was charged after the order was cancelled.
	CancelChargedLate CancelCode = "charged_late"
	// CancelByCustomer: its customer cancelled it.
	CancelByCustomer CancelCode = "by_customer"
	// CancelByShop: an operator cancelled the order of a customer.
	CancelByShop CancelCode = "by_shop"
)

// CancelCodes lists every code but the empty one.
func CancelCodes() []CancelCode {
	return []CancelCode{
		CancelDeclined, CancelDuplicate, CancelExpired, CancelPaymentUnknown, CancelPaymentVoided, CancelLost, CancelChargedLate,
		CancelByCustomer, CancelByShop,
	}
}

// cancelTexts are what people read, by code. Up to this version the text was all that was kept, so ParseCancelReason reads them too.
var cancelTexts = map[CancelCode]string{
	CancelDeclined:       "card_declined",
	CancelDuplicate:      "duplicate of ",
	CancelExpired:        "expired",
	CancelPaymentUnknown: "payment_unknown",
	CancelPaymentVoided:  "payment_voided",
	CancelLost:           "lost with its Redis",
	CancelChargedLate:    "charged after it was cancelled",
	CancelByCustomer:     "by the customer",
	CancelByShop:         "by the shop",
}

// textSeparator stands between the text of a code and the caller's words or the provider's code.
const textSeparator = ": "

// CancelReason is why an order was cancelled.
type CancelReason struct {
	Code CancelCode `json:"code,omitempty"`
	// DuplicateOf is the order that the idempotency key belongs to; empty unless Code is CancelDuplicate.
	DuplicateOf ID `json:"duplicate_of,omitempty"`
	// DeclineCode is the payment provider's code; empty unless Code is CancelDeclined.
	DeclineCode string `json:"decline_code,omitempty"`
	// Text is for people only.
	Text string `json:"text,omitempty"`
}

// CancelledAs is the reason of a code. Words, which may be empty, are added to its text.
func CancelledAs(code CancelCode, words string) CancelReason {
	r := CancelReason{Code: code, Text: cancelTexts[code]}
	if words != "" {
		r.Text += textSeparator + words
	}
	return r
}

// CancelledAsDeclined returns the reason of a card that was declined with the provider's code.
func CancelledAsDeclined(declineCode string) CancelReason {
	r := CancelledAs(CancelDeclined, declineCode)
	r.DeclineCode = declineCode
	return r
}

// CancelledAsDuplicate returns the reason of an order with the idempotency key of another one.
func CancelledAsDuplicate(of ID) CancelReason {
	return CancelReason{Code: CancelDuplicate, DuplicateOf: of, Text: cancelTexts[CancelDuplicate] + string(of)}
}

// String is the text.
func (r CancelReason) String() string { return r.Text }

// maxEncodedReason bounds the text of Encode, in bytes. It is below the journal's bound on a text, 1,024, which would cut the JSON: a reason
// that is cut there loses its code.
const maxEncodedReason = 1000

// maxEscape is the most bytes that JSON makes of one: a control character becomes \u00XX.
const maxEscape = 6

// Encode returns the reason as one text, the form in Redis and the journal. ParseCancelReason is its inverse, except that the end of a long
// Text, and then of a long DeclineCode, is left out so that the result has at most maxEncodedReason bytes.
func (r CancelReason) Encode() string {
	if r == (CancelReason{}) {
		return ""
	}
	text := r.encode()
	for _, field := range []*string{&r.Text, &r.DeclineCode} {
		for len(text) > maxEncodedReason && *field != "" {
			*field = cutEnd(*field, max(1, (len(text)-maxEncodedReason)/maxEscape))
			text = r.encode()
		}
	}
	return text
}

// encode returns the reason as JSON, with <, > and & as they are: escaped they would have six bytes each.
func (r CancelReason) encode() string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil { // Unreachable: the fields are texts.
		return r.Text
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cutEnd removes n bytes from the end of s, and the rest of a character that they cut.
func cutEnd(s string, n int) string {
	end := max(0, len(s)-n)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// ParseCancelReason parses the text of Encode, or that of older versions, which had the code as a prefix. Any other text becomes
// a reason without a code.
func ParseCancelReason(s string) CancelReason {
	var r CancelReason
	if strings.HasPrefix(s, "{") && json.Unmarshal([]byte(s), &r) == nil {
		return r
	}
	return parseCancelText(s)
}

// parseCancelText reads the text of versions that kept no code.
func parseCancelText(s string) CancelReason {
	if of, ok := strings.CutPrefix(s, cancelTexts[CancelDuplicate]); ok {
		return CancelledAsDuplicate(ID(of))
	}
	text, words, _ := strings.Cut(s, textSeparator)
	for _, code := range CancelCodes() {
		if text != cancelTexts[code] {
			continue
		}
		if code == CancelDeclined {
			return CancelledAsDeclined(words)
		}
		return CancelReason{Code: code, Text: s}
	}
	return CancelReason{Text: s}
}
