package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// put writes a letter and returns it with its id.
func put(t *testing.T, dead *store.DeadLetters, f store.DeadLetter) store.DeadLetter {
	t.Helper()
	if err := dead.Put(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	found, err := dead.List(t.Context(), store.DeadLetterFilter{}, 0, 1)
	if err != nil || len(found) != 1 || found[0].DedupKey != f.DedupKey {
		t.Fatalf("the newest letter is %+v (%v); want %s", found, err, f.DedupKey)
	}
	return get(t, dead, found[0].ID)
}

func get(t *testing.T, dead *store.DeadLetters, id int64) store.DeadLetter {
	t.Helper()
	f, err := dead.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func aLetter(key string) store.DeadLetter {
	return store.DeadLetter{
		DedupKey: key, Source: "order_writer", OrderID: "o-" + key, Reason: "why", PayloadType: "spillway.v1.OrderEvent",
		Payload: []byte{0, 0xff, 1}, TraceID: "0af7651916cd43dd8448eb211c80319c", Attempts: 3,
	}
}

func actions(f store.DeadLetter) string {
	var out []string
	for _, a := range f.History {
		out = append(out, a.Action+" by "+a.Actor+": "+a.Detail)
	}
	return strings.Join(out, "; ")
}

func TestDeadLetters_ReadAsWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		dead, want := store.NewDeadLetters(db), aLetter("k")
		got := put(t, dead, want)
		if got.CreatedAt.IsZero() || !got.CreatedAt.Equal(got.UpdatedAt) || got.Status != store.DeadLetterOpen || got.ID == 0 {
			t.Errorf("read %+v", got)
		}
		want.ID, want.Status, want.CreatedAt, want.UpdatedAt = got.ID, got.Status, got.CreatedAt, got.UpdatedAt
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("read %+v\nwant %+v", got, want)
		}
		if again := put(t, dead, aLetter("k")); again.ID != got.ID || again.Attempts != 4 {
			t.Errorf("the same failure again: %+v", again)
		}
		if _, err := dead.Get(t.Context(), got.ID+1); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("an unknown letter: %v; want ErrNotFound", err)
		}
	})
}

// TestDeadLetters_CountedByCause puts two orders' mails that failed for one cause: their reasons name the orders.
func TestDeadLetters_CountedByCause(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		dead := store.NewDeadLetters(db)
		for _, id := range []string{"06A", "06B"} {
			err := dead.Put(t.Context(), store.DeadLetter{
				DedupKey: id, Source: "mailer", OrderID: id, Reason: "send mail of order " + id + ": no mailbox", PayloadType: "t",
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		groups, err := dead.Groups(t.Context(), "", "", 10)
		if err != nil || len(groups) != 1 || groups[0].Count != 2 || groups[0].Reason != "send mail of order …: no mailbox" {
			t.Errorf("groups: %+v, %v; want one with both", groups, err)
		}
	})
}

func TestDeadLetters_ListByFilterAndPage(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		dead := store.NewDeadLetters(db)
		for i := range 5 {
			f := aLetter(fmt.Sprint(i))
			if i%2 == 1 {
				f.Source = "mailer"
			}
			if l := put(t, dead, f); i == 4 {
				if err := dead.Discard(t.Context(), l.ID, store.DeadLetterAction{Actor: "a", Detail: "d"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		keys := func(f store.DeadLetterFilter, before int64, limit int) (string, int64) {
			found, err := dead.List(t.Context(), f, before, limit)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			var last int64
			for _, l := range found {
				if out, last = append(out, l.DedupKey), l.ID; l.Payload != nil {
					t.Errorf("the list carries the payload of %s", l.DedupKey)
				}
			}
			return strings.Join(out, ","), last
		}
		for want, f := range map[string]store.DeadLetterFilter{
			"4,3,2,1,0": {}, "3,2,1,0": {Status: "open"}, "4": {Status: "discarded"}, "": {Status: "replayed"},
			"3,1": {Source: "mailer"}, "2": {OrderID: "o-2", Source: "order_writer", Status: "open"},
		} {
			if got, _ := keys(f, 0, 10); got != want {
				t.Errorf("%+v lists %q; want %q", f, got, want)
			}
		}
		var pages []string
		for before := int64(0); ; {
			page, last := keys(store.DeadLetterFilter{}, before, 2)
			if page == "" {
				break
			}
			pages, before = append(pages, page), last
		}
		if got := strings.Join(pages, "|"); got != "4,3|2,1|0" {
			t.Errorf("the pages are %s", got)
		}
	})
}

// TestDeadLetters_ClosedOnceWithItsActor goes through the table of its transitions.
func TestDeadLetters_ClosedOnceWithItsActor(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		dead, ctx := store.NewDeadLetters(db), t.Context()
		discard := func(l store.DeadLetter) error {
			return dead.Discard(ctx, l.ID, store.DeadLetterAction{Actor: "ann", Detail: "a test"})
		}
		replay := func(l store.DeadLetter) error {
			return dead.CloseReplayed(ctx, l.ID, l.Payload, store.DeadLetterAction{Actor: "bob"})
		}
		edit := func(l store.DeadLetter) error {
			return dead.Edit(ctx, l.ID, []byte("new"), "", store.DeadLetterAction{Actor: "cy", Detail: "typo"})
		}
		type step = func(store.DeadLetter) error
		for name, c := range map[string]struct {
			steps   []step
			fails   bool // the last one, with ErrFailedPrecondition
			status  string
			history string
		}{
			"discarded":                {[]step{discard}, false, "discarded", "discarded by ann: a test"},
			"discarded twice":          {[]step{discard, discard}, false, "discarded", "discarded by ann: a test"},
			"replayed twice":           {[]step{replay, replay}, false, "replayed", "replayed by bob: "},
			"discarded, then replayed": {[]step{discard, replay}, true, "discarded", "discarded by ann: a test"},
			"replayed, then discarded": {[]step{replay, discard}, true, "replayed", "replayed by bob: "},
			"edited":                   {[]step{edit}, false, "open", "edited by cy: typo"},
			"replayed as it was read before it was edited": {[]step{edit, replay}, true, "open", "edited by cy: typo"},
			"edited, then discarded":                       {[]step{edit, discard}, false, "discarded", "edited by cy: typo; discarded by ann: a test"},
			"edited when discarded":                        {[]step{discard, edit}, true, "discarded", "discarded by ann: a test"},
		} {
			l := put(t, dead, aLetter(name))
			for i, s := range c.steps {
				err := s(l)
				if want := c.fails && i == len(c.steps)-1; errors.Is(err, order.ErrFailedPrecondition) != want || (err != nil) != want {
					t.Errorf("%s: step %d: %v", name, i, err)
				}
			}
			if got := get(t, dead, l.ID); got.Status != c.status || actions(got) != c.history {
				t.Errorf("%s: it is %s after %q; want %s after %q", name, got.Status, actions(got), c.status, c.history)
			}
		}
		for name, err := range map[string]error{"discard": discard(store.DeadLetter{ID: 1e6}), "edit": edit(store.DeadLetter{ID: 1e6}), "replay": replay(store.DeadLetter{ID: 1e6})} {
			if !errors.Is(err, order.ErrNotFound) {
				t.Errorf("%s of an unknown letter: %v; want ErrNotFound", name, err)
			}
		}
	})
}

func TestDeadLetters_EditNamesTheOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		dead := store.NewDeadLetters(db)
		l := put(t, dead, aLetter("k"))
		for _, c := range []struct{ give, want string }{{"", l.OrderID}, {"other", "other"}} {
			if err := dead.Edit(t.Context(), l.ID, []byte("new"), c.give, store.DeadLetterAction{Actor: "a"}); err != nil {
				t.Fatal(err)
			}
			if got := get(t, dead, l.ID); got.OrderID != c.want || !bytes.Equal(got.Payload, []byte("new")) {
				t.Errorf("edited with order %q: %+v", c.give, got)
			}
		}
	})
}

// TestReplayEntry_Once by many at once: the stock is taken once, the row is there, and one of them is remembered.
func TestReplayEntry_Once(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, dead := flushing(t, db), store.NewDeadLetters(db)
		o := anOrder("replayed")
		r := aRange("0-0", "1-0", -3)
		r.Changes = []order.Event{change(o, order.Paid)}
		if err := st.SkipEntry(t.Context(), r, aLetter("journal/0/1/1-0")); err != nil {
			t.Fatal(err)
		}
		wantStock(t, st, 10)
		r.Holds = []store.Hold{{OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: -3}}}}
		l := get(t, dead, 1)
		var applied, failed []int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, did, err := st.ReplayEntry(t.Context(), l, r, false, store.DeadLetterAction{Actor: fmt.Sprint("op", i)})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = append(failed, i)
					t.Errorf("replay %d: %v", i, err)
				}
				if did {
					applied = append(applied, i)
				}
			})
		}
		wg.Wait()
		if len(applied) != 1 || len(failed) > 0 {
			t.Fatalf("applied by %v, failed for %v", applied, failed)
		}
		wantStock(t, st, 7)
		wantState(t, store.NewOrders(db), o.ID, order.Paid)
		if n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM stock_dedup_log WHERE orders = ?", store.FormatHolds(r.Holds)); n != 1 || err != nil {
			t.Errorf("the log says %d times whose stock was taken, %v", n, err)
		}
		if got := get(t, dead, 1); got.Status != store.DeadLetterReplayed || actions(got) != fmt.Sprintf("replayed by op%d: ", applied[0]) {
			t.Errorf("it is %s after %q", got.Status, actions(got))
		}
		if e, err := st.OpenEpoch(t.Context(), 0); err != nil || e.LastID != "1-0" {
			t.Errorf("the place is %+v, %v; want 1-0", e, err)
		}
	})
}

// TestReplayEntry_FailureLeavesTheDeadLetterOpen, and nothing of it behind.
func TestReplayEntry_FailureLeavesTheDeadLetterOpen(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, dead := flushing(t, db), store.NewDeadLetters(db)
		o := anOrder("too many")
		r := aRange("0-0", "1-0", -11)
		r.Changes = []order.Event{change(o, order.Paid)}
		l := put(t, dead, aLetter("journal/0/1/1-0"))
		if _, did, err := st.ReplayEntry(t.Context(), l, r, false, store.DeadLetterAction{}); did || !store.IsRowError(err) {
			t.Errorf("taking 11 of 10: %v, %v; want a row error", did, err)
		}
		wantStock(t, st, 10)
		if got := get(t, dead, l.ID); got.Status != store.DeadLetterOpen || len(got.History) > 0 {
			t.Errorf("it is %+v", got)
		}
		if _, err := store.NewOrders(db).Get(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("the order: %v; want ErrNotFound", err)
		}
	})
}

// TestReplayEntry_WhileOrdersAreTakenInSQL: the units that the entry takes may be sold by Redis, whose journal SQL has not seen.
func TestReplayEntry_WhileOrdersAreTakenInSQL(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityJournal)
		dead := store.NewDeadLetters(db)
		l := put(t, dead, aLetter("journal/0/1/1-0"))
		taken, paid := aRange("0-0", "1-0", -3), aRange("0-0", "1-0", 0)
		paid.Deltas = nil
		if _, err := st.OpenSQLEpoch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if _, did, err := st.ReplayEntry(t.Context(), l, taken, false, store.DeadLetterAction{}); did || !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("replay: %v, %v; want ErrUnavailable", did, err)
		}
		wantStock(t, st, 10)
		if got := get(t, dead, l.ID); got.Status != store.DeadLetterOpen {
			t.Errorf("it is %s; want it open", got.Status)
		}
		if _, did, err := st.ReplayEntry(t.Context(), l, paid, false, store.DeadLetterAction{}); !did || err != nil {
			t.Errorf("replay of an entry without units: %v, %v", did, err)
		}
	})
}

// TestReplayEntry_DuplicateIsUndoneFirst: the money and the stock of an order that came with another's key go back first.
func TestReplayEntry_DuplicateIsUndoneFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, dead, orders := flushing(t, db), store.NewDeadLetters(db), store.NewOrders(db)
		first, second := anOrder("same"), anOrder("same")
		mustApply(t, orders, change(first, order.Paid))
		r := aRange("0-0", "1-0", -3)
		r.Changes = []order.Event{change(second, order.Paid)}
		l := put(t, dead, aLetter("journal/0/1/1-0"))
		_, did, err := st.ReplayEntry(t.Context(), l, r, false, store.DeadLetterAction{})
		var dup *store.DuplicatesError
		if did || !errors.As(err, &dup) || !slices.Equal(dup.Duplicates, []store.Duplicate{{ID: second.ID, Of: first.ID}}) {
			t.Fatalf("replay: %v, %v; want a DuplicatesError", did, err)
		}
		wantStock(t, st, 10)
		if _, did, err := st.ReplayEntry(t.Context(), l, r, true, store.DeadLetterAction{}); !did || err != nil {
			t.Errorf("replay when it is undone: %v, %v", did, err)
		}
		wantStock(t, st, 7)
		wantState(t, orders, second.ID, order.Cancelled)
	})
}

// TestFlushRange_DeadReservationAndItsRelease, in whichever order the operator and the flusher come.
func TestFlushRange_DeadReservationAndItsRelease(t *testing.T) {
	for name, c := range map[string]struct {
		first, status, history string
	}{
		"replayed, then released":  {"replay", store.DeadLetterReplayed, "replayed by op: "},
		"released, then replayed":  {"release", store.DeadLetterDiscarded, "discarded by stock_flusher: the order was released: nothing was taken, and nothing goes back"},
		"discarded, then released": {"discard", store.DeadLetterDiscarded, "discarded by op: "},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *store.DB) { reservationMeetsRelease(t, db, c.first, c.status, c.history) })
		})
	}
}

// reservationMeetsRelease does with the reservation's letter what comes first, flushes the release, and replays the letter.
func reservationMeetsRelease(t *testing.T, db *store.DB, first, status, history string) {
	t.Helper()
	st, dead, o := flushing(t, db), store.NewDeadLetters(db), anOrder("k")
	f := aLetter("journal/0/1/1-0")
	f.Source, f.OrderID = store.FlusherSource, string(o.ID)
	reservation := aRange("0-0", "1-0", -3)
	if err := st.SkipEntry(t.Context(), reservation, f); err != nil {
		t.Fatal(err)
	}
	l := get(t, dead, 1)
	replay := func() error {
		_, _, err := st.ReplayEntry(t.Context(), l, reservation, false, store.DeadLetterAction{Actor: "op"})
		return err
	}
	switch first {
	case "replay":
		if err := replay(); err != nil {
			t.Fatal(err)
		}
		wantStock(t, st, 7)
	case "discard":
		if err := dead.Discard(t.Context(), l.ID, store.DeadLetterAction{Actor: "op"}); err != nil {
			t.Fatal(err)
		}
	}
	release := store.Range{
		Epoch:    1,
		PrevID:   "1-0",
		FirstID:  "2-0",
		LastID:   "2-0",
		Entries:  1,
		Releases: []store.Return{{Hold: store.Hold{OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: 3}}}}},
	}
	if _, err := st.FlushRange(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	wantStock(t, st, 10)
	if err := replay(); (first != "replay") != errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("replayed in the end: %v", err)
	}
	wantStock(t, st, 10)
	if got := get(t, dead, l.ID); got.Status != status || actions(got) != history {
		t.Errorf("it is %s after %q; want %s after %q", got.Status, actions(got), status, history)
	}
}
