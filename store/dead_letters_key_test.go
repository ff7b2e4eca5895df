package store_test

import (
	"testing"

	"github.com/spillway/spillway/store"
)

func TestEntryKey_FormattedAndParsed(t *testing.T) {
	want := store.EntryKey{Partition: 3, Epoch: 41, ID: "1764-0"}
	if text := want.String(); text != "journal/3/41/1764-0" {
		t.Errorf("the key is %q", text)
	}
	if got, ok := store.ParseEntryKey(want.String()); !ok || got != want {
		t.Errorf("parsed as %+v (%t), want %+v", got, ok, want)
	}
}

func TestParseEntryKey_OtherKeys(t *testing.T) {
	for _, key := range []string{"", "journal", "journal/", "journal/1/2", "journal/1/2/", "journal/x/2/1-0", "journal/1/x/1-0", "journal/256/2/1-0", "journal/1/2/1-0/x", "mailer/order/1"} {
		if k, ok := store.ParseEntryKey(key); ok {
			t.Errorf("%q is read as %+v", key, k)
		}
	}
}
