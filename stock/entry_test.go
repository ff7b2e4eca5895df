package stock_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// add writes an entry by hand.
func (s *shop) add(t *testing.T, epoch int64, fields map[string]string) {
	t.Helper()
	c := s.redis.Client()
	cmd := c.B().Xadd().Key(s.keys.Journal(epoch)).Id("*").FieldValue()
	for name, value := range fields {
		cmd = cmd.FieldValue(name, value)
	}
	if err := c.Do(t.Context(), cmd.Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// with is a valid reservation of one A with other fields.
func with(fields map[string]string) map[string]string {
	out := map[string]string{"kind": "R", "order": string(order.NewID(0, time.Now())), "deltas": "A:-1", "time": "1795884357241", "snapshot": "x"}
	maps.Copy(out, fields)
	return out
}

// garbage are entries that no script writes. Each has deltas of A, where it has any, so that a reader which applies it is noticed.
var garbage = map[string]map[string]string{
	"unknown kind":                    with(map[string]string{"kind": "?"}),
	"no fields of an entry":           {"a": "b"},
	"adjustment without deltas":       with(map[string]string{"kind": "A", "deltas": ""}),
	"adjustment of two SKUs":          with(map[string]string{"kind": "A", "deltas": "A:1,B:1"}),
	"adjustment without id":           with(map[string]string{"kind": "A", "order": ""}),
	"adjustment of an absurd size":    with(map[string]string{"kind": "A", "deltas": "A:9000000000000000000"}),
	"adjustment beyond int64":         with(map[string]string{"kind": "A", "deltas": "A:90000000000000000000"}),
	"reservation without deltas":      with(map[string]string{"deltas": ""}),
	"reservation that gives":          with(map[string]string{"deltas": "A:5"}),
	"reservation of an absurd size":   with(map[string]string{"deltas": "A:-1001"}),
	"reservation of 101 lines":        with(map[string]string{"deltas": strings.TrimSuffix(strings.Repeat("A:-1,", 101), ",")}),
	"release that takes":              with(map[string]string{"kind": "L"}),
	"release without deltas":          with(map[string]string{"kind": "L", "deltas": ""}),
	"return without deltas":           with(map[string]string{"kind": "B", "deltas": ""}),
	"payment that changes stock":      with(map[string]string{"kind": "S", "deltas": "A:1"}),
	"deltas that are no number":       with(map[string]string{"deltas": "A:x"}),
	"deltas with one that is not":     with(map[string]string{"kind": "L", "deltas": "A:1,x"}),
	"deltas with an empty one":        with(map[string]string{"kind": "L", "deltas": "A:1,"}),
	"deltas that are not UTF-8":       with(map[string]string{"kind": "L", "deltas": "A:1,\xff:1"}),
	"units written in another way":    with(map[string]string{"kind": "L", "deltas": "A:0x5"}),
	"an order id that is none":        with(map[string]string{"kind": "L", "deltas": "A:1", "order": "x"}),
	"an order id that is not UTF-8":   with(map[string]string{"kind": "L", "deltas": "A:1", "order": strings.Repeat("\xff", order.IDLen)}),
	"a time that is none":             with(map[string]string{"kind": "L", "deltas": "A:1", "time": "noon"}),
	"a time beyond what SQL can hold": with(map[string]string{"kind": "L", "deltas": "A:1", "time": "999999999999999"}),
}

func TestJournal_EntriesThatNoScriptWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		for name, fields := range garbage {
			s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 10})
			if _, err := s.journal.Next(t.Context(), 1, "me", 1, 0); err != nil { // It makes the group.
				t.Fatal(err)
			}
			s.add(t, 1, fields)
			var poison *journal.PoisonError
			if _, err := s.journal.Read(t.Context(), 1, journal.StartID, 10); !errors.As(err, &poison) || len(poison.Raw) != len(fields) {
				t.Errorf("%s: Read returned %v; want a PoisonError with its %d fields", name, err, len(fields))
			}
			if _, err := s.journal.Await(t.Context(), 1, journal.StartID, 10, time.Millisecond); !errors.As(err, &poison) {
				t.Errorf("%s: Await returned %v; want a PoisonError", name, err)
			}
			if got, err := s.journal.Next(t.Context(), 1, "me", 10, 0); err != nil || len(got) != 1 || got[0].Kind != journal.Unreadable {
				t.Errorf("%s: Next returned %v, %v; want one Unreadable", name, got, err)
			}
			if got, err := s.journal.Claim(t.Context(), 1, "other", 0, 10); err != nil || len(got) != 1 || got[0].Kind != journal.Unreadable {
				t.Errorf("%s: Claim returned %v, %v; want one Unreadable", name, got, err)
			}
		}
	})
}

// TestLoad_EntriesThatNoScriptWrites: the flusher leaves them out, so a counter that includes them would sell what SQL does not have.
func TestLoad_EntriesThatNoScriptWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 10})
		for _, fields := range garbage {
			s.add(t, 1, fields)
		}
		s.add(t, 1, with(map[string]string{"deltas": "A:-3"}))
		s.add(t, 1, with(map[string]string{"kind": "A", "order": "adjust-1", "deltas": "A:100"}))
		s.mustReserve(t, request("k", units("A", 1), units("B", 1)))
		s.wantLeft(t, "A", 10-3+100-1)
		s.wantLeft(t, "B", 9)
	})
}

func TestTail_EntriesThatNoScriptWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		tail := journal.NewTail(s.journal, s.epochs)
		next(t, tail) // The first reading finds the end.
		s.add(t, 1, with(map[string]string{"order": "\xff"}))
		s.add(t, 1, map[string]string{"a": "b"})
		r := request("k", units("A", 1))
		s.mustReserve(t, r)
		wantChanged(t, tail, r.OrderID)
	})
}

func TestRewind_EntriesThatNoScriptWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 10})
		for _, fields := range garbage {
			s.add(t, 1, fields)
		}
		lost := request("lost", units("A", 1))
		s.mustReserve(t, lost)
		s.failOver(t)
		s.connect(t, cfg, stock.DefaultLimits())
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.HotOrder(t.Context(), lost.OrderID); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("the record of a lost order: %v; want ErrNotFound", err)
		}
	})
}

// TestJournal_TextThatIsNotUTF8 does not cost the order: its reason decides nothing.
func TestJournal_TextThatIsNotUTF8(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		r := request("k", units("A", 1))
		s.mustReserve(t, r)
		if _, err := s.Release(t.Context(), r.OrderID, "bad \xff", "\xfe"); err != nil {
			t.Fatal(err)
		}
		got, err := s.journal.Read(t.Context(), 1, journal.StartID, 10)
		if err != nil || len(got) != 2 || got[1].Detail != "bad \ufffd" || got[1].Trace != "\ufffd" {
			t.Errorf("read %+v, %v", got, err)
		}
		if rec, err := s.HotOrder(t.Context(), r.OrderID); err != nil || rec.Reason != "bad \ufffd" {
			t.Errorf("the reason is %q, %v", rec.Reason, err)
		}
	})
}

func TestDeadLetter_KeepsWhatIsNotUTF8(t *testing.T) {
	fields := with(map[string]string{"order": "\xff\xfe", "detail": strings.Repeat("x", 100_000), "\xff": "odd"})
	raw, err := journal.MarshalPoison(&journal.PoisonError{ID: "1-0", Raw: fields})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"base64":{"order":"//4="}`, `"cut":{"detail":100000}`, `"` + "\ufffd" + `":"odd"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %.300s", want, raw)
		}
	}
	if _, err := journal.UnmarshalDeadLetter(raw); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("unmarshal: %v; want ErrInvalid", err)
	}
	id := order.NewID(0, time.Now())
	mended := strings.Replace(string(raw), `"fields":{`, `"fields":{"order":"`+string(id)+`",`, 1)
	if e, err := journal.UnmarshalDeadLetter([]byte(mended)); err != nil || e.OrderID != id {
		t.Errorf("a mended entry is %+v, %v", e, err)
	}
}
