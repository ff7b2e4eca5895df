package order_test

import (
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/spillway/spillway/order"
)

func TestCancelReason_EncodedAndParsed(t *testing.T) {
	reasons := []order.CancelReason{
		{},
		{Text: "why"},
		order.CancelledAsDeclined("insufficient_funds"), order.CancelledAsDuplicate("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		order.CancelledAs(order.CancelByCustomer, `"{code}": changed my mind`),
	}
	for _, code := range order.CancelCodes() {
		reasons = append(reasons, order.CancelledAs(code, ""))
	}
	for _, want := range reasons {
		if got := order.ParseCancelReason(want.Encode()); got != want {
			t.Errorf("%q is read as %+v, want %+v", want.Encode(), got, want)
		}
	}
}

// TestParseCancelReason_TextOfOlderVersions: rows, entries and messages of versions before the code are read by their text.
func TestParseCancelReason_TextOfOlderVersions(t *testing.T) {
	for text, want := range map[string]order.CancelReason{
		"":                                  {},
		"whatever":                          {Text: "whatever"},
		"expired":                           {Code: order.CancelExpired},
		"payment_unknown":                   {Code: order.CancelPaymentUnknown},
		"payment_voided":                    {Code: order.CancelPaymentVoided},
		"lost with its Redis":               {Code: order.CancelLost},
		"charged after it was cancelled":    {Code: order.CancelChargedLate},
		"by the customer":                   {Code: order.CancelByCustomer},
		"by the customer: expired: by hand": {Code: order.CancelByCustomer},
		"by the shop: out of glue":          {Code: order.CancelByShop},
		"card_declined: insufficient_funds": {Code: order.CancelDeclined, DeclineCode: "insufficient_funds"},
		"card_declined: ":                   {Code: order.CancelDeclined},
		"duplicate of O1":                   {Code: order.CancelDuplicate, DuplicateOf: "O1"},
		"duplicate":                         {},
		`{"code":`:                          {},
	} {
		got := order.ParseCancelReason(text)
		if text != "card_declined: " && got.Text != text {
			t.Errorf("the text of %q became %q", text, got.Text)
		}
		got.Text, want.Text = "", ""
		if got != want {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
}

func TestCancelCodes_EachHasItsText(t *testing.T) {
	var texts []string
	for _, code := range order.CancelCodes() {
		text := order.CancelledAs(code, "").Text
		if text == "" || slices.Contains(texts, text) {
			t.Errorf("the text of %s is %q, which is empty or that of another code", code, text)
		}
		texts = append(texts, text)
	}
}

// FuzzParseCancelReason checks that every text in UTF-8, which protobuf guarantees, gives a reason that survives the next round trip.
func FuzzParseCancelReason(f *testing.F) {
	f.Add(order.CancelledAsDeclined("insufficient_funds").Encode())
	f.Add(order.CancelledAsDuplicate("X").Encode())
	f.Add("card_declined: lost_card")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || len(text) > 60 { // Twice at six bytes each they are below the bound of Encode.
			return
		}
		r := order.ParseCancelReason(text)
		if again := order.ParseCancelReason(r.Encode()); again != r {
			t.Errorf("%q gives %+v, and that gives %+v", text, r, again)
		}
	})
}
