package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestLostHolds_OrdersWithoutARow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		came, lost, released := anOrder("came"), anOrder("lost"), anOrder("released")
		take := func(o order.Order, sign int64) store.Hold {
			return store.Hold{OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: sign * 2}, {SKU: "B", Units: sign}}}
		}
		w.flush(t, "1-0", store.Range{Deltas: map[order.SKU]int64{"A": -6, "B": -3}, Holds: []store.Hold{take(came, -1), take(lost, -1), take(released, -1)}})
		w.flush(t, "2-0", store.Range{Deltas: map[order.SKU]int64{"A": 2, "B": 1}, Holds: []store.Hold{take(released, 1)}})
		mustApply(t, w.orders, change(came, order.Paid))
		if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: "2-0"}, journal.Epoch{Instance: "run2"}); err != nil {
			t.Fatal(err)
		}
		epochs, err := w.stock.Unreconciled(t.Context(), 0, time.Now().Add(time.Second))
		if err != nil || len(epochs) != 1 || epochs[0].Number != 1 || epochs[0].ClosedAt.IsZero() {
			t.Fatalf("unreconciled: %+v (%v)", epochs, err)
		}
		if early, err := w.stock.Unreconciled(t.Context(), 0, epochs[0].ClosedAt); err != nil || len(early) != 0 {
			t.Errorf("unreconciled before its time: %+v (%v)", early, err)
		}
		// The log stays as long as it is needed, however old it is.
		if err := w.stock.PruneDedupLog(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		holds, err := w.stock.LostHolds(t.Context(), epochs[0])
		if err != nil || len(holds) != 1 || holds[0].OrderID != lost.ID || len(holds[0].Deltas) != 2 || holds[0].Deltas[0] != (order.Delta{SKU: "A", Units: 2}) {
			t.Fatalf("lost: %+v (%v)", holds, err)
		}
		if err := w.cancellations.Enqueue(t.Context(), []store.Cancellation{{
			OrderID: lost.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test", Units: holds[0].Deltas,
		}}); err != nil {
			t.Fatal(err)
		}
		if again, err := w.stock.LostHolds(t.Context(), epochs[0]); err != nil || len(again) != 0 {
			t.Errorf("lost again: %+v (%v)", again, err)
		}
		if err := w.stock.Reconciled(t.Context(), 0, 1, 0); err != nil {
			t.Fatal(err)
		}
		if left, err := w.stock.Unreconciled(t.Context(), 0, time.Now().Add(time.Second)); err != nil || len(left) != 0 {
			t.Errorf("still unreconciled: %+v (%v)", left, err)
		}
		// It turns up after all: its units and its money are on the way back, so it is written as cancelled.
		mustApply(t, w.orders, change(lost, order.Paid))
		if o, err := w.orders.Get(t.Context(), lost.ID); err != nil || o.State != order.Cancelled || o.CancelReason.Text != "lost" {
			t.Errorf("it is %+v (%v)", o, err)
		}
	})
}

// TestLostHolds_DuplicateBehindAPrunedLog: whether its units were returned is not known any more.
func TestLostHolds_DuplicateBehindAPrunedLog(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		first, again := anOrder("k"), anOrder("k")
		took := store.Hold{OrderID: again.ID, Deltas: []order.Delta{{SKU: "A", Units: -2}, {SKU: "B", Units: -1}}}
		w.flush(t, "1-0", store.Range{Deltas: map[order.SKU]int64{"A": -2, "B": -1}, Holds: []store.Hold{took}})
		mustApply(t, w.orders, change(first, order.Paid))
		if out := mustApply(t, w.orders, change(again, order.Paid)); len(out.Duplicates) != 1 {
			t.Fatalf("%+v", out)
		}
		for age, want := range map[time.Duration]int{time.Minute: 1, time.Hour: 0} {
			holds, err := w.stock.LostHolds(t.Context(), journal.Epoch{Number: 1, Closed: true, ClosedAt: time.Now().Add(-age)})
			if err != nil || len(holds) != want {
				t.Errorf("%s after the epoch: %+v (%v), want %d", age, holds, err, want)
			}
		}
	})
}

func TestEnqueue_OrderAppearsLater(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		paid, shipped, none := anOrder("paid"), anOrder("shipped"), anOrder("none")
		mustApply(t, w.orders, change(paid, order.Paid), change(shipped, order.Paid))
		if _, err := w.orders.Ship(t.Context(), []order.Shipment{{OrderID: shipped.ID, TrackingID: "T", ShippedAt: at}}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			o       order.Order
			adopted bool
			state   order.State
		}{{paid, true, order.Cancelled}, {shipped, false, order.Shipped}, {none, true, -1}} {
			intent := store.Cancellation{OrderID: c.o.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test", Units: []order.Delta{{SKU: "A", Units: 2}}}
			if err := w.cancellations.Enqueue(t.Context(), []store.Cancellation{intent}); err != nil {
				t.Fatal(err)
			}
			if adopted, err := w.cancellations.EnsureCancelled(t.Context(), intent); err != nil || adopted != c.adopted {
				t.Errorf("%s: adopted %v (%v)", c.o.IdempotencyKey, adopted, err)
			}
			if o, err := w.orders.Get(t.Context(), c.o.ID); c.state >= 0 && (err != nil || o.State != c.state) {
				t.Errorf("%s is %s (%v)", c.o.IdempotencyKey, o.State, err)
			}
			n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM order_cancellations WHERE order_id = ?", c.o.ID)
			if err != nil || (n == 1) != c.adopted {
				t.Errorf("%s: %d intents (%v)", c.o.IdempotencyKey, n, err)
			}
		}
	})
}

func TestLostCharges_OrdersThatAreNowhere(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		known, lost, unknown, declined := anOrder("known"), anOrder("lost"), anOrder("unknown"), anOrder("declined")
		mustApply(t, w.orders, change(known, order.Paid))
		for o, state := range map[*order.Order]order.ChargeState{
			&known: order.ChargeSucceeded, &lost: order.ChargeSucceeded, &unknown: order.ChargePending, &declined: order.ChargeDeclined,
		} {
			ch := order.Charge{OrderID: o.ID, ChargeID: string(order.NewID(0, at)), State: state, Amount: order.Money{Currency: "EUR", Amount: o.Total}}
			if _, err := ledger.Record(t.Context(), ch); err != nil {
				t.Fatal(err)
			}
		}
		begin, end := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
		found, err := ledger.LostCharges(t.Context(), begin, end, 10)
		// Whether the pending one took money is unknown: the provider has to be queried.
		got := map[order.ID]bool{}
		for _, ch := range found {
			got[ch.OrderID] = true
		}
		if err != nil || len(found) != 2 || !got[lost.ID] || !got[unknown.ID] {
			t.Errorf("lost: %+v (%v)", found, err)
		}
		if outside, err := ledger.LostCharges(t.Context(), begin.Add(-time.Hour), begin, 10); err != nil || len(outside) != 0 {
			t.Errorf("outside of the time: %+v (%v)", outside, err)
		}
		// A charge that came for a cancelled order is found as well, and an order with a charge of unknown outcome.
		unbooked, voided := anOrder("unbooked"), anOrder("voided")
		if _, err := ledger.Void(t.Context(), voided.ID, string(order.NewID(0, at)), "XXX"); err != nil {
			t.Fatal(err)
		}
		for _, o := range []order.Order{lost, unknown, declined, unbooked, voided} {
			if _, err := w.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Cancelled, At: time.Now(), Reason: order.CancelReason{Text: "expired"}}}); err != nil {
				t.Fatal(err)
			}
		}
		ids, err := w.orders.OpenCharges(t.Context(), begin, end, 10)
		want := []order.ID{lost.ID, unknown.ID, unbooked.ID}
		slices.Sort(ids)
		slices.Sort(want)
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("open: %v (%v), want %v", ids, err, want)
		}
	})
}

// TestPruneDedupLog_KeepsUnreconciledEpochs: the log of a closed epoch stays until its lost orders were found, however old it is, and goes
// then.
func TestPruneDedupLog_KeepsUnreconciledEpochs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		for i, epoch := range []int64{1, 2, 3} {
			for _, id := range []string{"1-0", "2-0"} {
				prev := map[string]string{"1-0": "0-0", "2-0": "1-0"}[id]
				r := store.Range{Epoch: epoch, PrevID: prev, FirstID: id, LastID: id, Entries: 1, Deltas: map[order.SKU]int64{"A": -1}}
				if _, err := w.stock.FlushRange(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if i < 2 {
				if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{Epoch: epoch, ID: "2-0"}, journal.Epoch{Instance: "next"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		db.RawSQL(t, "UPDATE stock_dedup_log SET applied_at = ?", time.Now().UTC().Add(-time.Hour))
		if err := w.stock.Reconciled(t.Context(), 0, 1, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.stock.PruneDedupLog(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		for epoch, want := range map[int64]int64{1: 0, 2: 2, 3: 1} {
			n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM stock_dedup_log WHERE epoch = ?", epoch)
			if err != nil || n != want {
				t.Errorf("%d rows of epoch %d are left (%v); want %d", n, epoch, err, want)
			}
		}
	})
}

// TestPruneDedupLog_ManyRows: what is due after an epoch with 4,500 ranges is deleted by several bounded statements.
func TestPruneDedupLog_ManyRows(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		const rows = 4500
		old := time.Now().UTC().Add(-time.Hour)
		insert := "INSERT INTO stock_dedup_log (partition_no, epoch, first_id, last_id, entries, applied_at) VALUES (0, 1, ?, ?, 1, ?)"
		args := []any{"1-0", "1-0", old}
		for i := 2; i <= rows; i++ {
			id := fmt.Sprint(i, "-0")
			insert, args = insert+", (0, 1, ?, ?, 1, ?)", append(args, id, id, old)
		}
		db.RawSQL(t, insert, args...)
		b := &fakeBreaker{timeout: time.Minute}
		db.Guard(b)
		if err := store.NewStock(db).PruneDedupLog(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		if n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM stock_dedup_log"); err != nil || n != 1 {
			t.Errorf("%d rows are left (%v); want 1", n, err)
		}
		// The first finds where to cut; 2,000 rows go with each other one.
		if calls := len(b.reported); calls != 4 {
			t.Errorf("%d calls of SQL; want 4", calls)
		}
	})
}

// TestLostHolds_CancellationWithoutUnits: the order's charge was found before its hold, as when two epochs were lost one after the other. Its
// units go back as well.
func TestLostHolds_CancellationWithoutUnits(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		lost := anOrder("lost")
		took := store.Hold{OrderID: lost.ID, Deltas: []order.Delta{{SKU: "A", Units: -2}}}
		w.flush(t, "1-0", store.Range{Deltas: map[order.SKU]int64{"A": -2}, Holds: []store.Hold{took}})
		intend := func(units []order.Delta) {
			t.Helper()
			if err := w.cancellations.Enqueue(t.Context(), []store.Cancellation{{
				OrderID: lost.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test", Units: units,
			}}); err != nil {
				t.Fatal(err)
			}
		}
		intend(nil)
		holds, err := w.stock.LostHolds(t.Context(), journal.Epoch{Number: 1, Closed: true, ClosedAt: time.Now(), Durability: store.DurabilityJournal})
		if err != nil || len(holds) != 1 {
			t.Fatalf("lost: %+v (%v); want the order", holds, err)
		}
		intend(holds[0].Deltas)
		due, err := w.cancellations.Due(t.Context(), time.Now().Add(time.Second), 10)
		if err != nil || len(due) != 1 || due[0].Restocked || len(due[0].Units) != 1 {
			t.Errorf("due: %+v (%v); want the order with its units", due, err)
		}
	})
}

// TestDiscarded_OrdersOfTheWriterWithoutARow: other sources do not decide about the row, an open dead letter is still to be decided, and a
// row can be there all the same.
func TestDiscarded_OrdersOfTheWriterWithoutARow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		dead := store.NewDeadLetters(db)
		decided, other, undecided, written := anOrder("decided"), anOrder("other"), anOrder("undecided"), anOrder("written")
		for _, l := range []struct {
			of      order.Order
			source  string
			discard bool
		}{
			{decided, "order_writer", true},
			{other, "shipper", true},
			{undecided, "order_writer", true},
			{undecided, "mailer", false},
			{written, "order_writer", true},
		} {
			key := l.source + "/" + string(l.of.ID)
			if err := dead.Put(t.Context(), store.DeadLetter{DedupKey: key, Source: l.source, OrderID: string(l.of.ID)}); err != nil {
				t.Fatal(err)
			}
			if !l.discard {
				continue
			}
			found, err := dead.List(t.Context(), store.DeadLetterFilter{}, 0, 1)
			if err != nil || len(found) != 1 {
				t.Fatalf("%+v (%v)", found, err)
			}
			if err := dead.Discard(t.Context(), found[0].ID, store.DeadLetterAction{Actor: "op"}); err != nil {
				t.Fatal(err)
			}
		}
		mustApply(t, w.orders, change(written, order.Paid))
		got, err := w.stock.Discarded(t.Context(), []order.ID{decided.ID, other.ID, undecided.ID, written.ID}, []string{"order_writer"})
		if err != nil || !slices.Equal(got, []order.ID{decided.ID}) {
			t.Errorf("discarded: %v (%v); want %s", got, err, decided.ID)
		}
	})
}
