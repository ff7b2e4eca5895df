package order_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/spillway/spillway/order"
)

func TestIsClean(t *testing.T) {
	for _, text := range []string{"", "Jürgen O'Neil-Strauß", "山田 太郎", "نیم\u200cفاصله", "👩\u200d👩\u200d👧", "a\u00a0b", "\ufffd"} {
		if !order.IsClean(text) || !order.IsCleanBlock(text) {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range []string{"a\x00", "\x1b[2J", "\x1b]0;x\x07", "a\x7f", "a\u009b2J", "\u202egpj", "a\u2066b", "a\u200fb", "a\u061cb", "a\u2028b", "\xff"} {
		if order.IsClean(text) || order.IsCleanBlock(text) {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"a\nb", "a\tb", "a\r\nb"} {
		if order.IsClean(text) || !order.IsCleanBlock(text) {
			t.Errorf("%q is one line, or no block", text)
		}
	}
}

func TestIsCountry(t *testing.T) {
	for _, code := range []string{"DE", "US", "CN", "AX", "SS", "ZW"} {
		if !order.IsCountry(code) {
			t.Errorf("%s is refused", code)
		}
	}
	for _, code := range []string{"", "D", "de", "ZZ", "XX", "UK", "EU", "DEU", "D ", ", "} {
		if order.IsCountry(code) {
			t.Errorf("%q is taken", code)
		}
	}
	if n := len(order.Countries()); n != 249 {
		t.Errorf("%d countries; ISO 3166-1 has 249", n)
	}
}

func TestPrintable(t *testing.T) {
	if got := order.Printable("a\x1b[2J\u202eb\nü"); got != "a [2J b ü" {
		t.Errorf("%q", got)
	}
}

// TestPrintableJSON: the text is the same after it is parsed, and nothing of it moves a cursor before.
func TestPrintableJSON(t *testing.T) {
	const evil = "a\x1b[2Jb\u009b2Jc\u202ed\x7fe\u2028f\U000e0001 ü 漢 😀"
	raw, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	printed := order.PrintableJSON(raw)
	for _, r := range string(printed) {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is left: %s", r, printed)
		}
	}
	var back string
	if err := json.Unmarshal(printed, &back); err != nil || back != evil {
		t.Errorf("%q became %q (%v)", evil, back, err)
	}
	if !strings.Contains(string(printed), "ü 漢 😀") {
		t.Errorf("usual texts changed: %s", printed)
	}
}
