package journal_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

func TestCompareIDs_MillisecondsThenSequence(t *testing.T) {
	sorted := []string{"", journal.StartID, "0-1", "5-9", "5-10", "10-0", "18446744073709551615-18446744073709551615"}
	for i, a := range sorted[1:] {
		if got := journal.CompareIDs(sorted[i], a); i > 0 && got != -1 {
			t.Errorf("CompareIDs(%q, %q) = %d; want -1", sorted[i], a, got)
		}
		if got := journal.CompareIDs(a, a); got != 0 {
			t.Errorf("CompareIDs(%q, %q) = %d; want 0", a, a, got)
		}
		if got := journal.CompareIDs(a, sorted[i]); i > 0 && got != 1 {
			t.Errorf("CompareIDs(%q, %q) = %d; want 1", a, sorted[i], got)
		}
	}
}

func TestOffset_ReachesWithinOneEpoch(t *testing.T) {
	at := journal.Offset{Epoch: 2, ID: "5-1"}
	for other, want := range map[journal.Offset]bool{
		{Epoch: 2, ID: "5-0"}: true, {Epoch: 2, ID: "5-1"}: true, {Epoch: 2, ID: "5-2"}: false,
		{Epoch: 1, ID: "1-0"}: false, {Epoch: 3, ID: "1-0"}: false,
	} {
		if got := at.Reaches(other); got != want {
			t.Errorf("%v reaches %v: %t; want %t", at, other, got, want)
		}
	}
}

// entries are one of each kind.
func entries() []journal.Entry {
	id := order.NewID(0, time.UnixMilli(1_700_000_000_000))
	at := time.UnixMilli(1_700_000_000_000).UTC()
	return []journal.Entry{
		{ID: "1-0", Kind: journal.Reserved, OrderID: id, Deltas: []order.Delta{{SKU: "A", Units: -2}}, Snapshot: []byte("\x00\xff"), Time: at, Trace: "t"},
		{ID: "2-0", Kind: journal.Settled, OrderID: id, Snapshot: []byte("s"), Time: at, Detail: "ch_1"},
		{ID: "3-0", Kind: journal.Released, OrderID: id, Deltas: []order.Delta{{SKU: "A", Units: 2}}, Snapshot: []byte("s"), Time: at, Detail: "why"},
		{ID: "4-0", Kind: journal.Restocked, OrderID: id, Deltas: []order.Delta{{SKU: "A", Units: 2}}, Snapshot: []byte{}, Time: at, Detail: "why"},
		{ID: "5-0", Kind: journal.Adjusted, AdjustmentID: "a1", Deltas: []order.Delta{{SKU: "A", Units: 7}}, Snapshot: []byte{}, Time: at, Actor: "op"},
	}
}

func TestDeadLetter_EntryIsKept(t *testing.T) {
	for _, want := range entries() {
		raw, err := journal.MarshalDeadLetter(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := journal.UnmarshalDeadLetter(raw); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("entry %s: %+v (%v); want %+v", want.ID, got, err, want)
		}
	}
}

// FuzzUnmarshalDeadLetter: an operator may edit the payload. What is accepted is an entry that a script may have written, and stays the
// same when it becomes a dead letter again.
func FuzzUnmarshalDeadLetter(f *testing.F) {
	for _, e := range entries() {
		raw, err := journal.MarshalDeadLetter(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"id":"1-0","fields":{"kind":"R"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := journal.UnmarshalDeadLetter(raw)
		if err != nil {
			if !errors.Is(err, order.ErrInvalid) {
				t.Errorf("rejected with %v; want order.ErrInvalid", err)
			}
			return
		}
		again, err := journal.MarshalDeadLetter(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := journal.UnmarshalDeadLetter(again)
		if err != nil || got.Kind != e.Kind || !bytes.Equal(got.Snapshot, e.Snapshot) || !reflect.DeepEqual(got.Deltas, e.Deltas) {
			t.Errorf("%+v became %+v (%v)", e, got, err)
		}
	})
}
