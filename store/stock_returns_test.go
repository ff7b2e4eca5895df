package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// back is what a release or a restock of anOrder gives back.
func back(o order.Order, reason string) []store.Return {
	return []store.Return{{
		Hold:    store.Hold{OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}},
		EntryID: "9-0", Reason: order.CancelReason{Text: reason},
	}}
}

func (w *cancellationFixture) take(t *testing.T, at string, changes ...order.Event) {
	t.Helper()
	w.flush(t, at, store.Range{Deltas: map[order.SKU]int64{"A": -2, "B": -1}, Changes: changes})
}

func (w *cancellationFixture) wantUnits(t *testing.T, when string, a, b int64) {
	t.Helper()
	if gotA, gotB := w.units(t); gotA != a || gotB != b {
		t.Errorf("%s: %d of A and %d of B; want %d and %d", when, gotA, gotB, a, b)
	}
}

// TestFlushRange_UnitsReturnOncePerOrder: a Redis that was rolled back releases an order again, in a later epoch, and a cancellation
// restocks what a release gave back. SQL gives the units back once, whatever comes (I6).
func TestFlushRange_UnitsReturnOncePerOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		w.take(t, "1-0", change(o, order.Pending))
		w.flush(t, "2-0", store.Range{Releases: back(o, "declined")})
		w.wantUnits(t, "released", 10, 10)
		if out := w.flush(t, "3-0", store.Range{Releases: back(o, "declined")}); !slices.Equal(out.ReturnedBefore, []order.ID{o.ID}) {
			t.Errorf("released again in this epoch: %v was reported", out.ReturnedBefore)
		}
		if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: "3-0"}, journal.Epoch{Instance: "promoted"}); err != nil {
			t.Fatal(err)
		}
		r := store.Range{Epoch: 2, PrevID: "0-0", FirstID: "1-0", LastID: "1-0", Entries: 1, Releases: back(o, "again")}
		if out, err := w.stock.FlushRange(t.Context(), r); err != nil || !slices.Equal(out.ReturnedBefore, []order.ID{o.ID}) {
			t.Errorf("released again in the next epoch: %v was reported (%v)", out.ReturnedBefore, err)
		}
		w.wantUnits(t, "released three times", 10, 10)

		// The row never heard of it. Cancelling it in SQL finds that its units are back.
		if _, err := w.cancellations.Cancel(t.Context(), o.ID, []order.State{order.Pending}, order.CancelReason{Text: "r"}, "c1"); err != nil {
			t.Fatal(err)
		}
		due, err := w.cancellations.Due(t.Context(), time.Now().Add(time.Second), 10)
		if err != nil || len(due) != 1 || !due[0].Restocked {
			t.Errorf("the cancellation is due as %+v (%v); want it restocked", due, err)
		}
	})
}

// TestFlushRange_ReleaseCompletesACancellation: the cancellation was written before the release was flushed.
func TestFlushRange_ReleaseCompletesACancellation(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		w.take(t, "1-0", change(o, order.Pending))
		intent := store.Cancellation{
			OrderID: o.ID,
			Reason:  order.CancelReason{Text: "r"},
			Actor:   "c1",
			Units:   []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}},
		}
		if err := w.cancellations.Enqueue(t.Context(), []store.Cancellation{intent}); err != nil {
			t.Fatal(err)
		}
		w.flush(t, "2-0", store.Range{Releases: back(o, "declined")})
		w.flush(t, "3-0", store.Range{Restocks: back(o, "r")})
		w.wantUnits(t, "released and restocked", 10, 10)
		due, err := w.cancellations.Due(t.Context(), time.Now().Add(time.Second), 10)
		if err != nil || len(due) != 1 || !due[0].Restocked {
			t.Errorf("the cancellation is due as %+v (%v); want it restocked", due, err)
		}
	})
}

// TestFlushRange_TwiceInOneRange: two entries of one range name the same order.
func TestFlushRange_TwiceInOneRange(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		w.take(t, "1-0", change(o, order.Pending))
		out := w.flush(t, "2-0", store.Range{Releases: append(back(o, "a"), back(o, "b")...)})
		if !slices.Equal(out.ReturnedBefore, []order.ID{o.ID}) {
			t.Errorf("%v was reported", out.ReturnedBefore)
		}
		w.wantUnits(t, "released twice", 10, 10)
	})
}

// TestFlushRange_OtherDurability: a flusher with another setting than the epoch's must apply nothing.
func TestFlushRange_OtherDurability(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		if err := w.stock.SetDurability(t.Context(), 0, store.DurabilitySQL); err != nil {
			t.Fatal(err)
		}
		r := store.Range{
			Epoch:      1,
			PrevID:     "0-0",
			FirstID:    "1-0",
			LastID:     "1-0",
			Entries:    1,
			Deltas:     map[order.SKU]int64{"A": -1},
			Durability: store.DurabilityJournal,
		}
		if _, err := w.stock.FlushRange(t.Context(), r); !errors.Is(err, store.ErrFlushConflict) {
			t.Errorf("flush: %v; want ErrFlushConflict", err)
		}
		w.wantUnits(t, "nothing flushed", 10, 10)
		if err := w.stock.SetDurability(t.Context(), 0, "both"); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("set to both: %v; want ErrInvalid", err)
		}
		if got, err := w.stock.Durability(t.Context(), 0); err != nil || got != store.DurabilitySQL {
			t.Errorf("durability %q (%v)", got, err)
		}
	})
}

// TestMarkPaid_UnitsAreBack: an order with returned units must not be paid: its charge is refunded instead.
func TestMarkPaid_UnitsAreBack(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		w.take(t, "1-0", change(o, order.Pending))
		w.flush(t, "2-0", store.Range{Releases: back(o, "declined")})
		if err := w.orders.MarkPaid(t.Context(), o, time.Now()); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("mark as paid: %v; want ErrFailedPrecondition", err)
		}
		s, err := w.orders.Standing(t.Context(), o.ID)
		if reason, cancelled := s.Cancelled(); err != nil || !cancelled || reason.Text != "declined" || s.State != order.Pending {
			t.Errorf("standing %+v: cancelled %t for %q (%v)", s, cancelled, reason, err)
		}
	})
}

// TestStock_NextEpochOfOtherDurability: the setting was changed while the next epoch was prepared. The change is not lost with the epoch.
func TestStock_NextEpochOfOtherDurability(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		if err := w.stock.SetDurability(t.Context(), 0, store.DurabilitySQL); err != nil {
			t.Fatal(err)
		}
		next := journal.Epoch{Instance: "run2", Durability: store.DurabilityJournal}
		if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, next); !errors.Is(err, journal.ErrEpochConflict) {
			t.Errorf("an epoch of another durability: %v; want journal.ErrEpochConflict", err)
		}
		if err := w.stock.Drained(t.Context(), 0, journal.Offset{Epoch: 1, ID: journal.StartID}); err != nil {
			t.Fatal(err)
		}
		next.Durability = store.DurabilitySQL
		if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, next); err != nil {
			t.Error(err)
		}
	})
}
