package store_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestEnqueue_AllOrdersOfAnEpoch: there are more intents than one statement takes. A repeated call changes nothing.
func TestEnqueue_AllOrdersOfAnEpoch(t *testing.T) {
	const lost = 3050 // SQLite takes some 2,700 in one statement; the last chunk is not full.
	onBoth(t, func(t *testing.T, db *store.DB) {
		w := newCancellationFixture(t, db)
		cancellations := make([]store.Cancellation, lost)
		for i := range cancellations {
			cancellations[i] = store.Cancellation{
				OrderID: order.NewID(0, time.Now()), Reason: order.CancelledAs(order.CancelLost, ""), Actor: "test",
				Units: []order.Delta{{SKU: "A", Units: 1}},
			}
		}
		for range 2 {
			if err := w.cancellations.Enqueue(t.Context(), cancellations); err != nil {
				t.Fatalf("%.300s", err)
			}
			n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM order_cancellations WHERE units = 'A:1' AND restocked_at IS NULL")
			if err != nil || n != lost {
				t.Errorf("%d cancellations (%v); want %d", n, err, lost)
			}
		}
	})
}
