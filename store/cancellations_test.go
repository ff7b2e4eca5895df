package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// cancellationFixture is a database with two products and an open epoch.
type cancellationFixture struct {
	db            *store.DB
	orders        *store.Orders
	cancellations *store.Cancellations
	stock         *store.Stock
	offset        string
}

func newCancellationFixture(t *testing.T, db *store.DB) *cancellationFixture {
	t.Helper()
	w := &cancellationFixture{db: db, orders: store.NewOrders(db), cancellations: store.NewCancellations(db), stock: store.NewStock(db), offset: "0-0"}
	for _, sku := range []order.SKU{"A", "B"} {
		p := store.Product{SKU: sku, Name: "n", Price: order.Money{Currency: "USD", Amount: 1}, Stock: 10}
		if err := store.NewProducts(db).Create(t.Context(), p, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.stock.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// flush applies one range that ends at the place.
func (w *cancellationFixture) flush(t *testing.T, place string, r store.Range) store.Outcome {
	t.Helper()
	r.Epoch, r.PrevID, r.FirstID, r.LastID, r.Entries = 1, w.offset, place, place, 1
	out, err := w.stock.FlushRange(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w.offset = place
	return out
}

func (w *cancellationFixture) units(t *testing.T) (a, b int64) {
	t.Helper()
	_, units, err := w.stock.Snapshot(t.Context(), 0, []order.SKU{"A", "B"})
	if err != nil {
		t.Fatal(err)
	}
	return units["A"], units["B"]
}

var fromPaid = []order.State{order.Paid, order.ShipFailed}

func TestCancel_DecidedInTheRow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		paid, pending, shipped := anOrder("paid"), anOrder("pending"), anOrder("shipped")
		mustApply(t, w.orders, change(paid, order.Paid), change(pending, order.Pending), change(shipped, order.Paid))
		if _, err := w.orders.Ship(t.Context(), []order.Shipment{{OrderID: shipped.ID, TrackingID: "T", ShippedAt: at}}); err != nil {
			t.Fatal(err)
		}
		for i := range 2 { // The second time changes nothing.
			if was, err := w.cancellations.Cancel(t.Context(), paid.ID, fromPaid, order.CancelReason{Text: "changed my mind"}, "c1"); err != nil ||
				(i == 0 && was != order.Paid) {
				t.Errorf("cancel a paid one: %s, %v", was, err)
			}
		}
		if o, err := w.orders.Get(t.Context(), paid.ID); err != nil || o.State != order.Cancelled || o.CancelReason.Text != "changed my mind" {
			t.Errorf("it is %+v (%v)", o, err)
		}
		if was, err := w.cancellations.Cancel(t.Context(), pending.ID, fromPaid, order.CancelReason{Text: "r"}, "c1"); !errors.Is(err, order.ErrFailedPrecondition) ||
			was != order.Pending {
			t.Errorf("cancel a pending one: %s, %v", was, err)
		}
		if was, err := w.cancellations.Cancel(t.Context(), shipped.ID, fromPaid, order.CancelReason{Text: "r"}, "c1"); !errors.Is(err, order.ErrFailedPrecondition) ||
			was != order.Shipped {
			t.Errorf("cancel a shipped one: %s, %v", was, err)
		}
		if _, err := w.cancellations.Cancel(t.Context(), order.NewID(0, at), fromPaid, order.CancelReason{Text: "r"}, "c1"); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("cancel one without a row: %v", err)
		}
		due, err := w.cancellations.Due(t.Context(), time.Now().Add(time.Second), 10)
		if err != nil || len(due) != 1 || due[0].OrderID != paid.ID || len(due[0].Units) != 2 || due[0].Units[0] != (order.Delta{SKU: "A", Units: 2}) ||
			due[0].Restocked {
			t.Errorf("due: %+v (%v)", due, err)
		}
	})
}

func TestCancel_ClaimedOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		mustApply(t, w.orders, change(o, order.Paid))
		if err := store.Exec(t.Context(), db, "UPDATE orders SET ship_claimed_at = ? WHERE id = ?", at, o.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.cancellations.Cancel(t.Context(), o.ID, fromPaid, order.CancelReason{Text: "r"}, "c1"); !errors.Is(err, store.ErrBeingShipped) {
			t.Errorf("cancel: %v", err)
		}
		if got, err := w.orders.Get(t.Context(), o.ID); err != nil || got.State != order.Paid {
			t.Errorf("it is %s (%v)", got.State, err)
		}
	})
}

func TestFlushRange_UnitsAreReturnedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		w.flush(t, "1-0", store.Range{Deltas: map[order.SKU]int64{"A": -2, "B": -1}, Changes: []order.Event{change(o, order.Paid)}})
		back := []store.Return{{Hold: store.Hold{OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}}}}
		w.flush(t, "2-0", store.Range{Restocks: back}) // It was not cancelled: nothing is returned.
		if a, b := w.units(t); a != 8 || b != 9 {
			t.Errorf("before it was cancelled: %d and %d", a, b)
		}
		if _, err := w.cancellations.Cancel(t.Context(), o.ID, fromPaid, order.CancelReason{Text: "r"}, "c1"); err != nil {
			t.Fatal(err)
		}
		if finished, err := w.cancellations.Finish(t.Context(), o.ID); err != nil || finished {
			t.Errorf("finished with nothing back: %v (%v)", finished, err)
		}
		w.flush(t, "3-0", store.Range{Restocks: back})
		w.flush(t, "4-0", store.Range{Restocks: back})
		if a, b := w.units(t); a != 10 || b != 10 {
			t.Errorf("after it came twice: %d and %d", a, b)
		}
		if finished, err := w.cancellations.Finish(t.Context(), o.ID); err != nil || finished {
			t.Errorf("finished without its refund: %v (%v)", finished, err)
		}
		if err := w.cancellations.Refunded(t.Context(), o.ID, order.Money{Currency: "EUR", Amount: 898}); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if finished, err := w.cancellations.Finish(t.Context(), o.ID); err != nil || finished != (i == 0) {
				t.Errorf("finish, time %d: %v (%v)", i, finished, err)
			}
		}
		if n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM due_mails WHERE order_id = ? AND kind = 'cancelled'", o.ID); err != nil || n != 1 {
			t.Errorf("%d mails are due (%v)", n, err)
		}
	})
}

// TestCancellations_UnpaidOrderHasNoMailDue: only a refund is told by mail.
func TestCancellations_UnpaidOrderHasNoMailDue(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		o := anOrder("k")
		mustApply(t, w.orders, change(o, order.Cancelled))
		if err := w.cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: o.ID, Reason: order.CancelReason{Text: "lost with its Redis"}}}); err != nil {
			t.Fatal(err)
		}
		if err := store.Exec(t.Context(), db, "UPDATE order_cancellations SET restocked_at = ? WHERE order_id = ?", at, o.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.cancellations.Refunded(t.Context(), o.ID, order.Money{}); err != nil {
			t.Fatal(err)
		}
		if finished, err := w.cancellations.Finish(t.Context(), o.ID); err != nil || !finished {
			t.Errorf("finished: %v (%v)", finished, err)
		}
		if n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM due_mails WHERE order_id = ?", o.ID); err != nil || n != 0 {
			t.Errorf("%d mails are due (%v); want none", n, err)
		}
	})
}
