package journal_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// FuzzCancelReason_ThroughTheJournal checks that a reason keeps its code and is no raw JSON, whatever its words are.
func FuzzCancelReason_ThroughTheJournal(f *testing.F) {
	for _, character := range []string{"<", ">", "&", "\x01", "\"", "\u2028", "ä", "😀", "\xff"} {
		f.Add(strings.Repeat(character, 200))
		f.Add("a" + strings.Repeat(character, 2000))
	}
	f.Fuzz(func(t *testing.T, words string) {
		for _, code := range order.CancelCodes() {
			want := order.CancelledAs(code, words)
			checkKept(t, want)
			want.DeclineCode = words
			checkKept(t, want)
		}
	})
}

func checkKept(t *testing.T, want order.CancelReason) {
	t.Helper()
	got := order.ParseCancelReason(journal.CleanText(want.Encode()))
	if got.Code != want.Code {
		t.Fatalf("%+v has the code %q after the journal, and the text %q", want, got.Code, got.Text)
	}
	if utf8.ValidString(want.Text) && !strings.HasPrefix(want.Text, got.Text) {
		t.Fatalf("the text %q became %q", want.Text, got.Text)
	}
}

func TestCancelReason_WordsThatTheAPIAccepts(t *testing.T) {
	for _, character := range []string{"<", ">", "&", "😀"} {
		want := order.CancelledAs(order.CancelByCustomer, strings.Repeat(character, 200))
		if got := order.ParseCancelReason(journal.CleanText(want.Encode())); got != want {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}
